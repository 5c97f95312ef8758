//! What the cache would do with a request, without doing it.

use lb_cache::{CacheRequest, Looked, Miss, Validation};

use super::answer::head_of;
use super::{HttpCache, key};
use crate::admin::ExplainedCache;
use crate::clock;
use crate::incoming::Incoming;

impl HttpCache {
    /// What would come of a request without a body.
    pub(crate) fn explain(&self, name: &str, incoming: &Incoming) -> ExplainedCache {
        let mut explained = ExplainedCache {
            name: name.to_owned(),
            result: "bypass".to_owned(),
            key: None,
            why: None,
        };
        let head = head_of(incoming, false);
        let request = match CacheRequest::of(&head, &self.rules) {
            Ok(request) => request,
            Err(bypass) => {
                explained.why = Some(bypass.as_str().to_owned());
                return explained;
            }
        };
        let mut text = String::new();
        if !key::write(&mut text, incoming, self) {
            explained.why = Some("key".to_owned());
            return explained;
        }
        let (responses, now) = (self.responses(), clock::now());
        let (result, why) = match responses.look(&text, &request, &self.rules, now) {
            Looked::Hit(served) => ("hit", Some(format!("fresh for {} s", served.ttl_seconds))),
            Looked::Stale(_) => (
                "stale",
                Some("it is validated in the background".to_owned()),
            ),
            Looked::Revalidate(_, why) => {
                let why = match why {
                    Validation::Request => "the request asks for it",
                    Validation::Stale => "what is stored is stale",
                    Validation::NoCache => "what is stored says so",
                };
                ("validate", Some(why.to_owned()))
            }
            Looked::Miss(Miss::Vary) => ("miss", Some("what is stored differs by Vary".to_owned())),
            Looked::Miss(_) => ("miss", None),
            Looked::Unsatisfiable => ("refused", Some("only-if-cached".to_owned())),
        };
        explained.result = result.to_owned();
        explained.why = why;
        explained.key = Some(text);
        explained
    }
}
