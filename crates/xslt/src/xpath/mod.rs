//! XPath 1.0: expressions are read, checked and evaluated over trees.

pub(crate) mod axis;
pub(crate) mod call;
pub(crate) mod evaluate;
pub(crate) mod expression;
pub(crate) mod function;
pub(crate) mod lexer;
pub(crate) mod number;
pub(crate) mod parse;
pub(crate) mod value;
