//! CAST: which names of types there are, and what they come to.

use super::expr::ExprBinder;
use super::value::{Bound, Typed};
use crate::engine::expr::{Expr, Function, Literal};
use crate::error::{Diagnostic, Result};
use crate::lang::syntax;
use crate::model::table::Type;

impl ExprBinder<'_> {
    /// `CAST(x AS type)`; all integers have 64 bits and all reals are doubles, a text is cut to its length.
    pub(super) fn cast(
        &self,
        operand: &syntax::Expr,
        words: &[syntax::Ident],
        length: Option<&syntax::Number>,
    ) -> Result<Bound> {
        let value = self.scalar(operand)?;
        let name = words.iter().map(|w| w.text.to_ascii_uppercase()).collect::<Vec<_>>().join(" ");
        let kind = match name.as_str() {
            "INT" | "INTEGER" | "BIGINT" | "SMALLINT" => Type::Int,
            "FLOAT" | "DOUBLE" | "DOUBLE PRECISION" | "REAL" | "NUMERIC" | "DECIMAL" => Type::Float,
            "TEXT" | "VARCHAR" | "CHAR" | "STRING" | "CHARACTER" | "CHARACTER VARYING" => Type::Text,
            "TIME" | "TIMESTAMP" => Type::Time,
            "BOOL" | "BOOLEAN" => Type::Bool,
            _ => {
                let span = words.first().map_or(operand.span, |w| w.span);
                return Err(Diagnostic::new(format!("unknown type `{name}`"), span)
                    .help("INT, FLOAT, TEXT, TIME or BOOL; also INTEGER, BIGINT, DOUBLE PRECISION, VARCHAR(n), TIMESTAMP")
                    .into());
            }
        };
        let mut cast = Typed::computed(Expr::Cast(Box::new(value.expr), kind), kind, value.is_constant);
        cast.unit = value.unit.filter(|_| kind.is_number());
        if let Some(length) = length {
            let count = super::expr::number(&length.text, length.span)?;
            if kind != Type::Text || !matches!(count, Literal::Int(n) if n > 0) {
                return Err(Diagnostic::new(
                    "only a text has a length, of 1 or more characters",
                    length.span,
                )
                .help("CAST(x AS VARCHAR(10)), CAST(x AS DOUBLE PRECISION)")
                .into());
            }
            let args = vec![cast.expr, Expr::Literal(Literal::Int(1)), Expr::Literal(count)];
            cast.expr = Expr::Call(Function::Substr, args);
        }
        Ok(Bound::Scalar(self.fold(cast, operand.span)?))
    }
}
