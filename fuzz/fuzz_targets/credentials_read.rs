//! Any bytes as a form, as Basic credentials, as a key set, and as the three parts of a token.
#![no_main]

use entrepot::auth::fuzz;
use shared::{Edit, edited};

const FORM: &str =
    "grant_type=client_credentials&client_id=7f4c1b0e-2a57-4d7c-9f0a-5f1b6a0c9b11&client_secret=s%20t+x&resource=https%3A%2F%2Fa";
const BASIC: &str = "Basic N2Y0YzFiMGU6c2VjcmV0JTIw";
const KEYS: &str = r#"{"keys":[{"kty":"RSA","use":"sig","kid":"1","n":"u1SU1LfVLPHCozMxH2Mo4lgOEePzNm0tRgeLezV6ffAt0gunVTLw7onLRnrq0_IzW7yWR7QkrmBL7jTKEn5u","e":"AQAB"},
    {"kty":"EC","crv":"P-256","alg":"ES256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;
const HEADER: &str = r#"{"alg":"ES256","typ":"JWT","kid":"KID"}"#;
const CLAIMS: &str = r#"{"iss":"https://exchange.test/","aud":["https://exchange.test"],"exp":1800003600,"nbf":1799999999,"iat":1.8e9,"appid":"7f4c1b0e-2a57-4d7c-9f0a-5f1b6a0c9b11"}"#;

libfuzzer_sys::fuzz_target!(|input: (u8, Vec<Edit<'_>>, &[u8])| {
    let (kind, edits, bytes) = input;
    match kind % 6 {
        0 => fuzz::credentials(edited(FORM, &edits).as_bytes()),
        1 => fuzz::credentials(edited(BASIC, &edits).as_bytes()),
        2 => fuzz::credentials(edited(KEYS, &edits).as_bytes()),
        3 => fuzz::token(&edited(HEADER, &edits), CLAIMS.as_bytes(), bytes),
        4 => fuzz::token(HEADER, edited(CLAIMS, &edits).as_bytes(), bytes),
        _ => fuzz::credentials(bytes),
    }
});
