//! Values of any type that serde knows.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Value, ValueRef};
use crate::error::SessionError;

impl Value {
    /// Makes a value of anything that serde can write: text, numbers and truth as such, all else as JSON.
    ///
    /// # Examples
    /// ```
    /// use lb_session::Value;
    ///
    /// assert_eq!(Value::of("alice")?, Value::from("alice"));
    /// let cart = Value::of(&[("apples", 3)])?;
    /// assert_eq!(cart.as_ref().to::<Vec<(String, u8)>>()?, [("apples".to_owned(), 3)]);
    /// # Ok::<(), lb_session::SessionError>(())
    /// ```
    ///
    /// # Errors
    /// Fails where JSON cannot say it, as a map whose keys are lists.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Result<Self, SessionError> {
        let json = serde_json::to_value(value).map_err(refused)?;
        Ok(match json {
            serde_json::Value::Bool(value) => Self::Bool(value),
            serde_json::Value::String(value) => Self::Text(value.into()),
            serde_json::Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(value), _) => Self::Int(value),
                (None, Some(value)) if number.is_f64() => Self::Float(value),
                // Above the largest `i64`.
                _ => Self::Json(number.to_string().into()),
            },
            other => Self::Json(other.to_string().into()),
        })
    }
}

impl ValueRef<'_> {
    /// Reads the value as anything that serde can make of it.
    ///
    /// # Errors
    /// Fails if the value is of another shape, and for [`ValueRef::Bytes`].
    pub fn to<T: DeserializeOwned>(self) -> Result<T, SessionError> {
        let json = match self {
            Self::Json(text) => return serde_json::from_str(text).map_err(refused),
            Self::Bool(value) => value.into(),
            Self::Int(value) => value.into(),
            Self::Float(value) => value.into(),
            Self::Text(value) => value.into(),
            Self::Bytes(_) => {
                return Err(SessionError::Json("bytes are not JSON".to_owned()));
            }
        };
        serde_json::from_value(json).map_err(refused)
    }
}

fn refused(error: serde_json::Error) -> SessionError {
    SessionError::Json(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn there_and_back<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: T) {
        let stored = Value::of(&value).unwrap();
        assert_eq!(stored.as_ref().to::<T>().unwrap(), value);
    }

    #[test]
    fn any_type_comes_back() {
        there_and_back(true);
        there_and_back(-5_i8);
        there_and_back(u64::MAX);
        there_and_back(i64::MIN);
        there_and_back(0.1_f64);
        there_and_back(3.0_f64);
        there_and_back("text".to_owned());
        there_and_back(Some(vec![1_u16, 2]));
        there_and_back(None::<u8>);
        there_and_back(BTreeMap::from([("a".to_owned(), vec![true])]));
    }

    #[test]
    fn simple_types_are_stored_as_such() {
        assert_eq!(Value::of(&5_u8).unwrap(), Value::Int(5));
        assert_eq!(Value::of("a").unwrap(), Value::from("a"));
        assert_eq!(Value::of(&[1]).unwrap(), Value::Json("[1]".into()));
    }

    #[test]
    fn another_shape_is_an_error() {
        assert!(ValueRef::Text("a").to::<u8>().is_err());
        assert!(ValueRef::Int(256).to::<u8>().is_err());
        assert!(ValueRef::Bytes(b"1").to::<u8>().is_err());
        assert!(ValueRef::Json("[1").to::<Vec<u8>>().is_err());
        let deep = "[".repeat(100_000);
        assert!(ValueRef::Json(&deep).to::<serde_json::Value>().is_err());
        assert!(Value::of(&BTreeMap::from([(vec![1], 1)])).is_err());
    }
}
