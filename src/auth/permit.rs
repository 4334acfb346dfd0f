//! Holds a verified caller against the list of applications and against a job.
//!
//! Who is not known, or no longer, is not let in (401); who is known but not named by the job is let in and turned away (403).
//! Every request is held against the configuration of that moment: a disabled application's tokens stop working at once.

use std::fmt;

use super::verify::Caller;
use crate::config::Application;
use crate::model::id::ApplicationId;

/// Why a caller with a good token may not go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denied {
    /// No `[[application]]` has this id: 401.
    Unknown(ApplicationId),
    /// Its `[[application]]` is disabled: 401.
    Disabled(ApplicationId),
    /// The job does not name it: 403.
    NotNamed {
        /// Who asked.
        application: ApplicationId,
        /// For which job.
        job: String,
    },
}

impl Denied {
    /// The HTTP status: 401 when it is not let in at all, 403 when only this job is closed to it.
    pub fn status(&self) -> u16 {
        match self {
            Denied::Unknown(_) | Denied::Disabled(_) => 401,
            Denied::NotNamed { .. } => 403,
        }
    }

    /// The value of `WWW-Authenticate`, for a 401 only (RFC 6750 §3).
    pub fn www_authenticate(&self) -> Option<String> {
        (self.status() == 401).then(|| super::verify::challenge(Some(("invalid_token", &self.to_string()))))
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Denied::Unknown(id) => write!(f, "application {id} is not in the list of applications; add an [[application]] with this id"),
            Denied::Disabled(id) => write!(f, "application {id} is disabled; enable it in the list of applications"),
            Denied::NotNamed { application, job } => {
                write!(f, "application {application} may not use job '{job}'; add it to the job's applications")
            }
        }
    }
}

impl std::error::Error for Denied {}

/// The application of a verified caller, if it is known and enabled. `application` is what the configuration has under the caller's id.
pub fn admit<'a>(caller: &Caller, application: Option<&'a Application>) -> Result<&'a Application, Denied> {
    match application {
        Some(application) if application.id == caller.application && application.enabled => Ok(application),
        Some(application) if application.id == caller.application => Err(Denied::Disabled(caller.application)),
        _ => Err(Denied::Unknown(caller.application)),
    }
}

/// Whether a job, with its name and the applications that it names, is open to this application.
pub fn permit(application: &Application, job: &str, named: &[ApplicationId]) -> Result<(), Denied> {
    if named.contains(&application.id) { Ok(()) } else { Err(Denied::NotNamed { application: application.id, job: job.to_owned() }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Timestamp;

    #[test]
    fn who_is_not_known_gets_401_and_who_is_not_named_gets_403() {
        let id: ApplicationId = "7f4c1b0e-2a57-4d7c-9f0a-5f1b6a0c9b11".parse().unwrap();
        let other: ApplicationId = "7f4c1b0e-2a57-4d7c-9f0a-5f1b6a0c9b12".parse().unwrap();
        let caller = Caller { application: id, issuer: "us".into(), expires_at: Timestamp(0) };
        let mut application = Application { id, name: "Web shop".into(), secret_hash: None, enabled: true, users: Vec::new() };

        assert_eq!(admit(&caller, Some(&application)).map(|found| found.id), Ok(id));
        assert_eq!(permit(&application, "Customers in", &[other, id]), Ok(()));

        let denied = permit(&application, "Customers in", &[other]).unwrap_err();
        assert_eq!((denied.status(), denied.www_authenticate()), (403, None));
        assert!(denied.to_string().contains("may not use job 'Customers in'"), "{denied}");

        application.enabled = false;
        let denied = admit(&caller, Some(&application)).unwrap_err();
        assert_eq!((denied.status(), &denied), (401, &Denied::Disabled(id)));
        assert!(denied.www_authenticate().unwrap().starts_with("Bearer realm=\"entrepot\", error=\"invalid_token\""));

        application.id = other;
        application.enabled = true;
        for found in [None, Some(&application)] {
            assert_eq!(admit(&caller, found), Err(Denied::Unknown(id)));
        }
    }
}
