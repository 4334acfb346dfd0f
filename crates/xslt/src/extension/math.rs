//! EXSLT math.

use crate::error::Result;
use crate::run::{Context, Run};
use crate::tree::node::Node;
use crate::xpath::expression::Call;
use crate::xpath::function::Function;
use crate::xpath::number;
use crate::xpath::value::Value;

impl Run<'_> {
    pub(crate) fn math(&mut self, function: Function, call: &Call, context: &Context) -> Result<Value> {
        let arguments = &call.arguments[..];
        match function {
            Function::Minimum | Function::Maximum | Function::Highest | Function::Lowest => {
                let nodes = self.nodes(&arguments[0], context)?;
                let wants_most = matches!(function, Function::Maximum | Function::Highest);
                let best = self.extreme(&nodes, wants_most);
                if matches!(function, Function::Minimum | Function::Maximum) {
                    return Ok(Value::Number(best.unwrap_or(f64::NAN)));
                }
                let Some(best) = best else { return Ok(Value::nodes(Vec::new())) };
                let chosen = nodes.into_iter().filter(|&node| number::parse(self.node_text(node)) == best).collect();
                return Ok(Value::nodes(chosen));
            }
            Function::Constant => {
                let name = self.text(&arguments[0], context)?.into_owned();
                let precision = self.number(&arguments[1], context)?;
                return Ok(Value::Number(constant(&name, precision)));
            }
            _ => {}
        }
        let first = self.number(&arguments[0], context)?;
        let second = match arguments.get(1) {
            Some(argument) => self.number(argument, context)?,
            None => f64::NAN,
        };
        Ok(Value::Number(match function {
            Function::Absolute => first.abs(),
            Function::SquareRoot => first.sqrt(),
            Function::Power => first.powf(second),
            Function::Logarithm => first.ln(),
            Function::Exponential => first.exp(),
            Function::Sine => first.sin(),
            Function::Cosine => first.cos(),
            Function::Tangent => first.tan(),
            Function::ArcSine => first.asin(),
            Function::ArcCosine => first.acos(),
            Function::ArcTangent => first.atan(),
            _ => first.atan2(second),
        }))
    }

    /// The least or greatest value; none if a node is no number or there are no nodes.
    fn extreme(&self, nodes: &[Node], wants_most: bool) -> Option<f64> {
        let mut best: Option<f64> = None;
        for &node in nodes {
            let value = number::parse(self.node_text(node));
            if value.is_nan() {
                return None;
            }
            best = Some(match best {
                Some(known) if wants_most => known.max(value),
                Some(known) => known.min(value),
                None => value,
            });
        }
        best
    }
}

/// A constant with so many decimals.
fn constant(name: &str, precision: f64) -> f64 {
    let value = match name {
        "PI" => std::f64::consts::PI,
        "E" => std::f64::consts::E,
        "SQRRT2" => std::f64::consts::SQRT_2,
        "LN2" => std::f64::consts::LN_2,
        "LN10" => std::f64::consts::LN_10,
        "LOG2E" => std::f64::consts::LOG2_E,
        "SQRT1_2" => std::f64::consts::FRAC_1_SQRT_2,
        _ => return f64::NAN,
    };
    let digits = if precision.is_finite() && precision >= 0.0 { precision as usize } else { return value };
    format!("{value:.*}", digits.min(15)).parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_have_the_precision_asked_for() {
        assert_eq!(constant("PI", 2.0).to_string(), "3.14");
        assert_eq!(constant("E", 40.0), std::f64::consts::E);
        assert!(constant("TAU", 2.0).is_nan());
    }
}
