//! Connections to backends.

#[cfg_attr(
    not(test),
    expect(
        dead_code,
        unused_imports,
        reason = "dispatch, which forwards over it, comes next"
    )
)]
mod http1;
