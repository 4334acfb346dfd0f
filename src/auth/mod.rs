//! Who may call: applications, tokens, signing keys, outside issuers, passwords of people. No HTTP and no SQL here.
