//! nginx of Debian: HTTP/1.1 towards backends. It writes the fields that we write by default.

use std::process::Command;

use anyhow::Result;

use super::Setup;

pub(super) fn configure(setup: &Setup<'_>, command: &mut Command) -> Result<()> {
    let file = setup.directory.write("nginx.conf", config(setup))?;
    command.args(["-p", &setup.directory.file(""), "-e", "stderr", "-c", &file]);
    Ok(())
}

fn config(setup: &Setup<'_>) -> String {
    let backends = setup.backends.addresses(setup.workload);
    let servers: String = backends.iter().map(|at| format!("server {at}; ")).collect();
    let workers = setup.workload.workers;
    let (cache, uses_cache) = if setup.workload.cached {
        let path = setup.directory.file("nginx-cache");
        (
            format!("proxy_cache_path {path} keys_zone=hits:10m max_size=256m;"),
            "proxy_cache hits; proxy_cache_valid 200 1h;",
        )
    } else {
        (String::new(), "")
    };
    format!(
        r#"
daemon off; worker_processes {workers}; user root; pid {pid}; error_log stderr crit;
worker_rlimit_nofile 65536;
events {{ worker_connections 32768; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 3600;
    http2_max_requests 1000000000;
    http2_max_concurrent_streams 128;
    client_max_body_size 0;
    client_body_buffer_size 128k;
    proxy_temp_path {temp}; client_body_temp_path {temp}; fastcgi_temp_path {temp};
    uwsgi_temp_path {temp}; scgi_temp_path {temp};
    {cache}
    upstream backends {{ {servers} keepalive 1024; keepalive_requests 1000000000; }}
    server {{
        listen 127.0.0.1:{tls} ssl http2 reuseport backlog=4096;
        listen 127.0.0.1:{clear} http2 reuseport backlog=4096;
        ssl_certificate {cert};
        ssl_certificate_key {key};
        ssl_protocols TLSv1.3;
        ssl_session_cache shared:sessions:10m;
        ssl_session_timeout 1h;
        location / {{
            proxy_pass http://backends;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host $host;
            proxy_set_header Via "2.0 nginx";
            proxy_set_header X-Request-Id $request_id;
            add_header X-Request-Id $request_id always;
            proxy_request_buffering off;
            proxy_buffer_size 16k;
            proxy_buffers 16 32k;
            proxy_busy_buffers_size 256k;
            proxy_max_temp_file_size 0;
            {uses_cache}
        }}
    }}
}}
"#,
        pid = setup.directory.file("nginx.pid"),
        temp = setup.directory.file("temp"),
        tls = setup.tls_port,
        clear = setup.clear_port,
        cert = setup.backends.certificate(),
        key = setup.backends.key(),
    )
}
