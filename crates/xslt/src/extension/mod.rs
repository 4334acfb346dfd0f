//! Functions beyond the recommendations: Microsoft's and EXSLT's.

pub(crate) mod calendar;
pub(crate) mod dates;
pub(crate) mod math;
pub(crate) mod microsoft;
pub(crate) mod sets;
pub(crate) mod strings;

use crate::error::{Error, Result};
use crate::run::{Context, Run};
use crate::xpath::expression::Call;
use crate::xpath::function::Function;
use crate::xpath::value::Value;

impl Run<'_> {
    /// A call of an extension function.
    pub(crate) fn extension(&mut self, function: Function, call: &Call, context: &Context) -> Result<Value> {
        match function.signature().namespace {
            crate::xpath::function::COMMON => self.common(function, call, context),
            crate::xpath::function::MICROSOFT => self.microsoft(function, call, context),
            crate::xpath::function::MATH => self.math(function, call, context),
            crate::xpath::function::SETS => self.sets(function, call, context),
            crate::xpath::function::STRINGS => self.strings(function, call, context),
            crate::xpath::function::DATES => self.dates(function, call, context),
            _ => Err(Error::run("this function is not available").found(function.signature().name)),
        }
    }

    fn common(&mut self, function: Function, call: &Call, context: &Context) -> Result<Value> {
        let value = self.evaluate(&call.arguments[0], context)?;
        match function {
            Function::NodeSet => self.as_node_set(value),
            _ => Ok(Value::text(match value {
                Value::Nodes(_) => "node-set",
                Value::Text(_) => "string",
                Value::Number(_) => "number",
                Value::Boolean(_) => "boolean",
                Value::Fragment(_) | Value::TextFragment(_) => "RTF",
            })),
        }
    }
}
