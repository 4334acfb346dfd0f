//! The commented file that `entrepot init` writes: what a newcomer reads first. It works as it is.

use crate::model::id::ApplicationId;

/// Activity id of the starter's import job.
pub const IMPORT_JOB: &str = "6D31E09F-0249-459F-94F0-AAD9C2C47B64";
/// Activity id of the starter's export job.
pub const EXPORT_JOB: &str = "C03BB937-09ED-46DE-86EE-4520D7D7E373";

/// The text, with an application of its own. `data_dir` and `listen` are written as given.
pub fn text(application: ApplicationId, secret_hash: &str, data_dir: &str, listen: &str) -> String {
    let quoted = toml_edit::Value::from(data_dir).to_string();
    format!(
        r#"# Entrepot: everything is configured here. `entrepot check` says what is wrong with it, and when each job runs next.

[server]
listen     = "{listen}"           # plain HTTP, this machine only; put HTTPS in front before the world sees it
public_url = "http://{listen}"    # the base of every URL that is handed out, and the issuer of tokens
data_dir   = {quoted}

[queue]
lease     = "30m"                        # a dequeued message comes back after this, until it is acked
retention = "7d"                         # payloads of finished messages are kept this long
max_body  = "2GiB"

# An application is a program that may call: an OAuth client. `entrepot app add NAME` makes more.
[[application]]
id          = "{application}"
name        = "Web shop"
secret_hash = "{secret_hash}"

# An entity is a table of rows, with types that are checked. Managed tables are plain SQLite, in entities.db of data_dir.
[[entity]]
name   = "Terms of payment"
table  = "payment_terms"
key    = ["NAME"]
fields = [
  {{ name = "NAME", type = "string", length = 10, required = true }},
  {{ name = "DESCRIPTION", type = "string", length = 60 }},
  {{ name = "NUMBEROFDAYS", type = "integer", minimum = 0, maximum = 365 }},
]

[[entity]]
name    = "Customer groups"              # what clients write: ?entity=Customer%20groups
aliases = ["CustCustomerGroupEntity"]
table   = "customer_groups"
key     = ["CUSTOMERGROUPID"]
fields  = [
  {{ name = "CUSTOMERGROUPID", type = "string", length = 10, required = true }},
  {{ name = "DESCRIPTION", type = "string", length = 60 }},
  {{ name = "PAYMENTTERMID", type = "string", references = "Terms of payment" }},
  {{ name = "CREDITLIMIT", type = "decimal", precision = 18, scale = 2, minimum = 0 }},
  {{ name = "BLOCKED", type = "enum", values = {{ No = 0, Yes = 1 }} }},
]

# A project says how documents become rows (import), or rows become documents (export).
[[project]]
name      = "Customer groups in"
direction = "import"
  [[project.entity]]
  entity  = "Terms of payment"           # no mapping: columns and fields have the same names
  [[project.entity]]
  entity  = "Customer groups"
  format  = {{ type = "csv", delimiter = ";", header = true }}
  mapping = [
    {{ source = "Group",  field = "CUSTOMERGROUPID", trim = true, upper = true }},
    {{ source = "Name",   field = "DESCRIPTION" }},
    {{ source = "Terms",  field = "PAYMENTTERMID", ignore_blank = true }},
    {{ source = "Credit", field = "CREDITLIMIT" }},
    {{ value = "No",      field = "BLOCKED" }},
  ]

[[project]]
name      = "Customer groups out"
direction = "export"
  [[project.entity]]
  entity = "Customer groups"
  filter = [{{ field = "BLOCKED", equals = "No" }}]
  fields = ["CUSTOMERGROUPID", "DESCRIPTION", "PAYMENTTERMID"]

# A job is a project with an address for clients, the applications that may use it, and when it runs.
[[job]]
name         = "Customer groups from the web shop"
activity_id  = "{IMPORT_JOB}"
project      = "Customer groups in"
applications = ["Web shop"]
recurrence   = "on arrival"              # or a cron text: "*/5 * * * *"
in_order     = true                      # one message after the other, as they came: terms before the groups that refer to them
monitoring_recurrence = "* * * * *"      # how often the load of its queue is noted

[[job]]
name         = "Customer groups to the book-keeper"
activity_id  = "{EXPORT_JOB}"
project      = "Customer groups out"
applications = ["Web shop"]
recurrence   = {{ cron = "0 6 * * 1-5", time_zone = "Europe/Amsterdam" }}
prevent_upload_when_zero_records = true
"#
    )
}
