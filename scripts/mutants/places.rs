//! Where the operands of operators and the patterns of match arms are in files of Rust, for
//! `scripts/mutants.mjs`.
//!
//! A line each: file, what it is, and pairs of lines and columns, both counted from one. First
//! comes where it begins, by which it is found, then the beginning and end of each of its parts:
//! `binary` the left and the right side; `unary` the operand; `arm` the pattern, and the guard if
//! it has one.
#![forbid(unsafe_code)]

use std::{env, fs};

use proc_macro2::Span;
use syn::{
    Arm, ExprBinary, ExprUnary,
    spanned::Spanned,
    visit::{self, Visit},
};

struct Places<'a>(&'a str);

impl Places<'_> {
    fn print(&self, kind: &str, at: Span, parts: &[Span]) {
        let mut line = format!("{} {kind} {} {}", self.0, at.start().line, at.start().column + 1);
        for position in parts.iter().flat_map(|part| [part.start(), part.end()]) {
            line.push_str(&format!(" {} {}", position.line, position.column + 1));
        }
        println!("{line}");
    }
}

impl<'ast> Visit<'ast> for Places<'_> {
    fn visit_expr_binary(&mut self, binary: &'ast ExprBinary) {
        self.print("binary", binary.op.span(), &[binary.left.span(), binary.right.span()]);
        visit::visit_expr_binary(self, binary);
    }

    fn visit_expr_unary(&mut self, unary: &'ast ExprUnary) {
        self.print("unary", unary.op.span(), &[unary.expr.span()]);
        visit::visit_expr_unary(self, unary);
    }

    fn visit_arm(&mut self, arm: &'ast Arm) {
        let guard = arm.guard.as_ref().map(|(_, guard)| guard.span());
        let parts: Vec<_> = [arm.pat.span()].into_iter().chain(guard).collect();
        self.print("arm", arm.pat.span(), &parts);
        visit::visit_arm(self, arm);
    }
}

fn main() {
    for file in env::args().skip(1) {
        let text = fs::read_to_string(&file).expect("the file can be read");
        let parsed = syn::parse_file(&text).expect("it is Rust");
        Places(&file).visit_file(&parsed);
    }
}
