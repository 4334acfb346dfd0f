//! XSLT 1.0 and XPath 1.0, complete, in safe Rust.
//!
//! A stylesheet is compiled once into a [`Stylesheet`], which is immutable and shared between threads, and then transforms any number of
//! documents. The result is written to any [`Write`](std::io::Write) while it is made.
//!
//! ```
//! use entrepot_xslt::{NoResolver, Stylesheet};
//!
//! let sheet = Stylesheet::compile(
//!     br#"<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
//!           <xsl:output omit-xml-declaration="yes"/>
//!           <xsl:param name="greeting" select="'Hello'"/>
//!           <xsl:template match="/people"><p><xsl:value-of select="concat($greeting, ', ', person[1])"/></p></xsl:template>
//!         </xsl:stylesheet>"#,
//!     "hello.xsl",
//!     &NoResolver,
//! )?;
//! let mut result = Vec::new();
//! sheet.transform().byte_order_mark(false).run(&b"<people><person>Ada</person></people>"[..], &mut result)?;
//! assert_eq!(result, b"<p>Hello, Ada</p>");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! There is no file, network or clock in this crate: included stylesheets and other documents come from a [`Resolver`] that the caller
//! supplies, and every transformation runs under [`Limits`].

#![forbid(unsafe_code)]

mod collate;
mod compile;
mod error;
mod extension;
mod name;
mod number_format;
mod numbering;
mod parse;
mod pattern;
mod record;
mod run;
mod serialise;
mod sheet;
mod sort;
mod stylesheet;
#[cfg(test)]
mod testing;
mod tree;
mod uri;
mod xpath;

pub use error::{CompileError, Error, ErrorKind, Place, Result, Warning};
pub use parse::DoctypePolicy;
pub use record::{Records, Way};
pub use run::profile::TemplateProfile;
pub use run::{Limits, Message};
pub use serialise::OutputMethod;
pub use stylesheet::{CompileOptions, NoResolver, Parameter, Report, Resolver, Resource, ResourceKind, Stylesheet, Transformation};

/// The README's example, held to compile and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
