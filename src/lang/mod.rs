//! Text to a syntax tree and diagnostics. Knows no table and no store; `grammar/starquake.ebnf` is its
//! specification, one function per rule.

pub mod diagnostic;
pub mod lex;
mod mistake;
pub mod parse;
pub mod print;
pub mod syntax;

#[cfg(test)]
mod ebnf_tests;
