//! The grants of people: by password (RFC 6749 §4.3), by refresh token (§6), by device code (RFC 8628 §3.4). Only for applications that name people in
//! `users`; each of them gets a token of the application, and thus no right that it has not. The secret of the application is not needed; one that is
//! sent must be right.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{Client, Person, Refused, TokenEndpoint, Unavailable, refuse};
use crate::auth::device;
use crate::auth::form::parse_basic;
use crate::auth::issuer::quoted;
use crate::auth::refresh;
use crate::auth::token::{self, Version, Wish};
use crate::model::id::ApplicationId;
use crate::model::time::Timestamp;

type Form = BTreeMap<String, String>;
type Signed = Result<(ApplicationId, Option<Person>), Refused>;

fn unavailable<T>(_: Unavailable) -> Result<T, Refused> {
    refuse(503, "temporarily_unavailable", 90_033, "it cannot be looked up who you are just now; try again")
}

impl TokenEndpoint<'_> {
    /// The application of a request that needs no secret: it exists, is enabled, and names people.
    pub(super) fn of_people(&self, form: &Form, authorization: Option<&str>) -> Result<(ApplicationId, Client), Refused> {
        let id = if form.contains_key("client_secret") || authorization.and_then(parse_basic).is_some() {
            self.authenticate(form, authorization)?
        } else {
            let Some(text) = form.get("client_id") else {
                return refuse(400, "invalid_request", 900_144, "no client_id; send the GUID of an [[application]]");
            };
            match text.parse::<ApplicationId>().ok().filter(|id| (self.client)(*id).is_some()) {
                Some(id) => id,
                None => {
                    return refuse(401, "invalid_client", 700_016, format!("there is no application with the client id {}", quoted(text)));
                }
            }
        };
        let Some(client) = (self.client)(id) else { return refuse(401, "invalid_client", 700_016, "there is no such application") };
        if !client.enabled {
            return refuse(400, "unauthorized_client", 7_000_112, format!("application {id} is disabled; ask the operator to enable it"));
        }
        if client.users.is_empty() {
            let hint = "name them in users = [\"…\"] of its [[application]], or let the program sign in by client_credentials";
            return refuse(400, "unauthorized_client", 7_000_218, format!("no one may sign in for application {id}; {hint}"));
        }
        Ok((id, client))
    }

    /// After the person is known: may it be this one?
    fn allowed(&self, id: ApplicationId, client: &Client, person: Person) -> Signed {
        if client.has(&person.name) {
            return Ok((id, Some(person)));
        }
        let name = quoted(&person.name);
        let explanation =
            format!("{name} may not sign in for application {id}; an operator can write users = [{name}] into its [[application]]");
        refuse(400, "invalid_grant", 50_105, explanation)
    }

    pub(super) fn by_password(&self, form: &Form, authorization: Option<&str>) -> Signed {
        let (id, client) = self.of_people(form, authorization)?;
        let missing =
            |member: &str| refuse(400, "invalid_request", 900_144, format!("no {member}; send username and password in the form"));
        let Some(name) = form.get("username") else { return missing("username") };
        let Some(password) = form.get("password") else { return missing("password") };
        match self.people.sign_in(name, password).or_else(unavailable)? {
            Some(person) => self.allowed(id, &client, person),
            None => refuse(
                400,
                "invalid_grant",
                50_126,
                "that name and password do not go together; they are those of a [[user]], as at the sign-in page",
            ),
        }
    }

    pub(super) fn by_refresh_token(&self, form: &Form, authorization: Option<&str>, now: Timestamp) -> Signed {
        let (id, client) = self.of_people(form, authorization)?;
        let over = || {
            let explanation =
                "the refresh token is none of ours, or of another application, or its time is over, or the password has changed";
            refuse(400, "invalid_grant", 700_082, format!("{explanation}; sign in again"))
        };
        let Some(token) = form.get("refresh_token") else {
            return refuse(400, "invalid_request", 900_144, "no refresh_token; send the one that came with the last token");
        };
        let Some(says) = refresh::read(self.seal, token, id, now) else { return over() };
        match self.people.find(&says.person).or_else(unavailable)? {
            Some(person) if refresh::same_password(&says, &person.mark) => self.allowed(id, &client, person),
            _ => over(),
        }
    }

    pub(super) fn by_device_code(&self, form: &Form, authorization: Option<&str>, now: Timestamp) -> Signed {
        let (id, client) = self.of_people(form, authorization)?;
        // Version 1 of the real system calls it code.
        let Some(code) = form.get("device_code").or_else(|| form.get("code")) else {
            return refuse(400, "invalid_request", 900_144, "no device_code; send the one that the devicecode endpoint gave");
        };
        let over =
            || refuse(400, "expired_token", 70_019, "the device code is unknown, used, or its time is over; begin again with a new one");
        match self.devices.ask(code, id, now) {
            device::Answer::Pending => {
                refuse(400, "authorization_pending", 70_016, "the code was not yet entered; ask again in a few seconds")
            }
            device::Answer::Refused => refuse(400, "authorization_declined", 70_018, "the person refused"),
            device::Answer::Over => over(),
            device::Answer::Granted(name) => match self.people.find(&name).or_else(unavailable)? {
                Some(person) => self.allowed(id, &client, person),
                None => over(),
            },
        }
    }

    /// What the answer for a person has beside the access token: a refresh token, who it was, and for what.
    pub(super) fn add_person(
        &self,
        json: &mut Value,
        form: &Form,
        wish: &Wish<'_>,
        person: &Person,
        now: Timestamp,
    ) -> Result<(), token::NotSigned> {
        json["refresh_token"] = json!(refresh::make(self.seal, wish.application, &person.name, &person.mark, now));
        json["id_token"] = json!(token::identify(self.keyring, self.issuer_base, wish, &person.name, now)?);
        json["scope"] = match wish.version {
            Version::V1 => json!(token::USER_SCOPE),
            // Libraries keep the token under the scopes that they are told, and look for those that they asked for.
            Version::V2 => json!(form.get("scope").cloned().unwrap_or_else(|| format!("{}/.default", wish.audience))),
        };
        if form.get("client_info").is_some_and(|wanted| wanted == "1") {
            let (uid, utid) = (token::person_id(self.issuer_base, &person.name), token::tenant_id(self.issuer_base));
            json["client_info"] = json!(URL_SAFE_NO_PAD.encode(json!({ "uid": uid.to_string(), "utid": utid.to_string() }).to_string()));
        }
        Ok(())
    }
}
