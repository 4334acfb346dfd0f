//! Identifiers, a type each, so that one can not be passed for another.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

macro_rules! guid {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = NotAGuid;

            /// Any spelling clients use: upper or lower case, with or without braces (CONTRACT §1.0).
            fn from_str(text: &str) -> Result<Self, NotAGuid> {
                parse_guid(text).map($name)
            }
        }

        impl From<Uuid> for $name {
            fn from(guid: Uuid) -> Self {
                $name(guid)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

guid! {
    /// A message. UUIDv7, so that ids are ordered by time and the index over them stays flat at depth.
    MessageId
}
guid! {
    /// The client's address for one recurring data job.
    ActivityId
}
guid! {
    /// An OAuth client. D365 clients require a GUID here (CONTRACT §3).
    ApplicationId
}

/// One run of a project. Text, because package API clients choose their own (CONTRACT §1.6); ours are UUIDv7.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ExecutionId(pub String);

impl fmt::Display for ExecutionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Proof of the latest dequeue; changes with every dequeue. Opaque to clients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PopReceipt(pub String);

/// The text is not a GUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAGuid;

impl fmt::Display for NotAGuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a GUID, expected 32 hexadecimal digits as in 6D31E09F-0249-459F-94F0-AAD9C2C47B64")
    }
}

impl std::error::Error for NotAGuid {}

/// A GUID as clients write it: `{UPPER}`, `lower`, surrounded by blanks; not the URN or the dashless form with braces missing one side.
pub fn parse_guid(text: &str) -> Result<Uuid, NotAGuid> {
    let text = text.trim();
    let inner = match (text.strip_prefix('{'), text.strip_suffix('}')) {
        (Some(_), Some(_)) if text.len() > 2 => &text[1..text.len() - 1],
        (None, None) => text,
        _ => return Err(NotAGuid),
    };
    if inner.len() != 36 && inner.len() != 32 {
        return Err(NotAGuid);
    }
    Uuid::try_parse(inner).map_err(|_| NotAGuid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_an_activity_id_is_the_same_id() {
        let plain: ActivityId = "6d31e09f-0249-459f-94f0-aad9c2c47b64".parse().unwrap();
        for text in ["{6D31E09F-0249-459F-94F0-AAD9C2C47B64}", "6D31E09F-0249-459F-94F0-AAD9C2C47B64", " 6d31e09f0249459f94f0aad9c2c47b64 "]
        {
            assert_eq!(text.parse::<ActivityId>(), Ok(plain), "{text}");
        }
        for text in ["", "{}", "{6d31e09f-0249-459f-94f0-aad9c2c47b64", "6d31e09f", "urn:uuid:6d31e09f-0249-459f-94f0-aad9c2c47b64", "é"] {
            assert_eq!(text.parse::<ActivityId>(), Err(NotAGuid), "{text}");
        }
    }
}
