//! The command line: one file per verb. Exit 0 done, 1 the answer is "no", 2 wrong use (DESIGN §2).

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

mod app;
mod check;
mod demo;
#[cfg(windows)]
mod event_log;
mod infer;
mod init;
mod notify;
mod operate;
#[cfg(windows)]
mod owner;
mod recording;
mod serve;
#[cfg(windows)]
mod service;
mod test_mappings;
mod transform;
mod try_document;
mod user;

use crate::log::LogFormat;

/// A self-hosted appliance for recurring document exchange, wire-compatible with the recurring integrations of Dynamics 365.
#[derive(Parser)]
#[command(version, arg_required_else_help = true, max_term_width = 100)]
struct Arguments {
    /// How to write the log on stderr.
    #[arg(long, global = true, value_enum, default_value = "text")]
    log_format: LogFormat,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Run the appliance.
    #[command(after_help = "Example: entrepot serve --config entrepot.toml")]
    Serve(serve::Serve),
    /// The main job on sample data, as a real client over real HTTP.
    #[command(after_help = "Example: entrepot demo --once")]
    Demo(demo::Demo),
    /// Write a commented configuration file that works.
    #[command(after_help = "Example: entrepot init /etc/entrepot")]
    Init(init::Init),
    /// Tell every problem of the configuration; with none, when each job runs next.
    #[command(after_help = "Example: entrepot check --config entrepot.toml")]
    Check(check::Check),
    /// Print the JSON Schema of the configuration file, for editors.
    #[command(
        after_help = "Example: entrepot schema > entrepot.schema.json, and #:schema ./entrepot.schema.json as the first line of entrepot.toml"
    )]
    Schema,
    /// A document through the whole chain: rows as they would be loaded, findings; nothing is stored.
    #[command(after_help = "Example: entrepot try \"Customer groups in\" groups.csv")]
    Try(try_document::Try),
    /// Print the entity and the project that would import a sample, types and key guessed.
    #[command(after_help = "Example: entrepot infer customers.csv --add")]
    Infer(infer::Infer),
    /// Run the mapping tests of the configuration.
    #[command(after_help = "Example: entrepot test --junit report.xml")]
    Test(test_mappings::Test),
    /// Applications: the programs that may call.
    #[command(subcommand)]
    App(app::App),
    /// Recurring data jobs of the running appliance.
    #[command(subcommand)]
    Job(operate::JobVerb),
    /// Messages of the running appliance.
    #[command(subcommand)]
    Message(operate::MessageVerb),
    /// People who sign in to the pages.
    #[command(subcommand)]
    User(user::UserVerb),
    /// Apply an XSLT 1.0 stylesheet to a document; the result goes to standard output.
    #[command(after_help = "Example: entrepot transform customers.xsl customers.xml --param company=usmf")]
    Transform(transform::Transform),
    /// Apply the configuration file now; exit 0 when it is in force. A change is applied within two seconds anyway.
    #[command(after_help = "Example: entrepot reload")]
    Reload(operate::Common),
    /// Stand between a client and the real D365 system, and keep its traffic, with secrets removed.
    #[command(after_help = "Example: entrepot record sandbox-traffic --upstream https://contoso.operations.dynamics.com")]
    Record(recording::Record),
    /// Answer a client from a recording, without the real system.
    #[command(after_help = "Example: entrepot replay sandbox-traffic")]
    Replay(recording::Replay),
    /// Exit 0 when the appliance is ready: for containers and services.
    #[command(after_help = "Example: entrepot healthcheck --config entrepot.toml")]
    Healthcheck(ConfigFile),
    /// The service of Windows. Not for people: what they call is in the other verbs, so that the manual is the same everywhere.
    #[cfg(windows)]
    #[command(subcommand, hide = true)]
    Service(service::ServiceVerb),
    /// Print the completions of a shell.
    #[command(after_help = "Example: entrepot completions bash > /etc/bash_completion.d/entrepot")]
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

/// Who reads what a verb prints may go before its end (`| head`): then the verb ends, quietly, with this code.
fn end_with_the_reader(code: i32) {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let said = panic.payload().downcast_ref::<String>().map_or("", String::as_str);
        match said.strip_prefix("failed printing to stdout: ") {
            // As Linux and Windows number it.
            Some(why) if ["(os error 32)", "(os error 109)", "(os error 232)"].iter().any(|number| why.ends_with(number)) => {
                std::process::exit(code)
            }
            Some(why) => {
                eprintln!("error: what this prints cannot be written: {why}");
                std::process::exit(1)
            }
            None => before(panic),
        }
    }));
}

/// The table of verbs and options, which the manual is made from.
pub fn command() -> clap::Command {
    Arguments::command()
}

/// Which configuration.
#[derive(clap::Args, Clone, Default)]
struct ConfigFile {
    /// The configuration file. Without: entrepot.toml here, then the service's: /etc/entrepot/entrepot.toml, on Windows
    /// %ProgramData%\Entrepot\entrepot.toml.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ConfigFile {
    /// The file to use; `None` when none is named and none is found.
    fn find(&self) -> Option<PathBuf> {
        self.config.clone().or_else(|| [PathBuf::from("entrepot.toml"), service_file()].into_iter().find(|file| file.exists()))
    }

    fn find_some(&self) -> Result<PathBuf, Failure> {
        self.find().ok_or_else(|| {
            Failure::usage("no configuration file was found\n  hint: make one with entrepot init, or name one with --config")
        })
    }

    fn load(&self) -> Result<crate::config::parse::Checked, Failure> {
        let file = self.find_some()?;
        crate::config::parse::load(&file).map_err(|problems| Failure {
            code: 1,
            message: problems.to_string().trim_end().to_owned(),
            plain: true,
        })
    }

    /// Where the appliance is, for who only asks it: the rest of the file may be wrong, because it goes on with what it has.
    fn load_server(&self) -> Result<crate::config::Server, Failure> {
        let failure = match self.load() {
            Ok(checked) => return Ok(checked.config.server),
            Err(failure) => failure,
        };
        let file = self.find_some()?;
        let Some(server) = crate::config::parse::load_server(&file) else { return Err(failure) };
        eprintln!(
            "warning: {} cannot be applied as it is, entrepot check says why; the configuration that the appliance runs with stays in force",
            file.display()
        );
        Ok(server)
    }

    /// The same, for who serves it: warnings go to the log.
    fn load_telling(&self) -> Result<crate::config::parse::Checked, Failure> {
        let checked = self.load()?;
        for warning in &checked.warnings {
            log::warn!("configuration key=\"{}\" {}; {}", warning.key, warning.message, warning.hint);
        }
        Ok(checked)
    }
}

/// The configuration of the packaged service.
fn service_file() -> PathBuf {
    #[cfg(windows)]
    return PathBuf::from(std::env::var_os("ProgramData").unwrap_or_else(|| r"C:\ProgramData".into())).join(r"Entrepot\entrepot.toml");
    #[cfg(not(windows))]
    return PathBuf::from("/etc/entrepot/entrepot.toml");
}

/// Why a verb did not do what was asked.
struct Failure {
    code: u8,
    message: String,
    /// The message names its own places; no `error:` before it.
    plain: bool,
}

impl Failure {
    fn no(message: impl Into<String>) -> Failure {
        Failure { code: 1, message: message.into(), plain: false }
    }

    fn usage(message: impl Into<String>) -> Failure {
        Failure { code: 2, message: message.into(), plain: false }
    }
}

/// Runs the verb of the command line.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let format = arguments.log_format;
    match arguments.verb {
        Verb::Serve(_) | Verb::Demo(_) | Verb::Record(_) | Verb::Replay(_) => {}
        // Their answer is the code, and it is not known yet.
        Verb::Check(_) | Verb::Test(_) | Verb::Try(_) => end_with_the_reader(1),
        _ => end_with_the_reader(0),
    }
    let done = match arguments.verb {
        Verb::Serve(serve) => {
            crate::log::start(format, "info");
            serve.run()
        }
        Verb::Demo(demo) => {
            crate::log::start(format, "warn");
            demo.run()
        }
        Verb::Init(init) => init.run(),
        Verb::Check(check) => check.run(),
        Verb::Schema => {
            print!("{}", crate::config::schema::SCHEMA);
            Ok(())
        }
        Verb::Try(verb) => verb.run(),
        Verb::Infer(infer) => infer.run(),
        Verb::Test(test) => test.run(),
        Verb::App(app) => app.run(),
        Verb::Job(job) => job.run(),
        Verb::Message(message) => message.run(),
        Verb::User(verb) => verb.run(),
        Verb::Transform(transform) => transform.run(),
        Verb::Record(record) => {
            crate::log::start(format, "info");
            record.run()
        }
        Verb::Replay(replay) => {
            crate::log::start(format, "info");
            replay.run()
        }
        Verb::Reload(common) => operate::reload(&common),
        Verb::Healthcheck(config) => operate::healthcheck(&config),
        #[cfg(windows)]
        Verb::Service(verb) => verb.run(format),
        Verb::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut command(), "entrepot", &mut text);
            print!("{}", String::from_utf8_lossy(&text));
            Ok(())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if failure.plain {
                eprintln!("{}", failure.message);
            } else {
                eprintln!("error: {}", failure.message);
            }
            ExitCode::from(failure.code)
        }
    }
}
