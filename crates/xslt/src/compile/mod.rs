//! Compiles stylesheets: modules are gathered by import precedence, declarations first, then bodies, so that everything a body names is known.
//!
//! All errors are collected; only what follows from an error already reported is not.

pub(crate) mod body;
pub(crate) mod declaration;
pub(crate) mod element;
pub(crate) mod environment;
pub(crate) mod module;

use std::collections::HashMap;
use std::rc::Rc;

use self::module::{Module, TopLevel};
use crate::error::{CompileError, Error, ErrorKind, Place, Warning};
use crate::name::{NameId, Names, StringId, split_qname, trim};
use crate::parse::ParseLimits;
use crate::pattern::Pattern;
use crate::sheet::{Mode, Rule, Sheet};
use crate::tree::Kind;
use crate::xpath::expression::Slot;

/// The namespace of XSLT.
pub(crate) const XSLT: &str = "http://www.w3.org/1999/XSL/Transform";

/// How deep elements of a stylesheet may stand inside each other.
const ELEMENT_DEPTH_MAX: usize = 1500;

/// What elements inherit from those around them.
#[derive(Clone)]
pub(crate) struct Inherited {
    /// Forwards-compatible processing is on (XSLT 1.0, section 2.5).
    pub(crate) forwards: bool,
    /// Namespaces of extension elements.
    pub(crate) extensions: Rc<Vec<StringId>>,
    /// Namespaces that literal result elements do not copy.
    pub(crate) excluded: Rc<Vec<StringId>>,
}

/// The compiler's state.
pub(crate) struct Compiler<'r> {
    pub(crate) names: Names,
    pub(crate) modules: Vec<Rc<Module>>,
    resolver: &'r dyn crate::Resolver,
    limits: ParseLimits,
    pub(crate) errors: Vec<Error>,
    pub(crate) warnings: Vec<Warning>,
    top: Vec<TopLevel>,
    precedence: u32,
    pub(crate) template_names: HashMap<NameId, (u32, u32, Place)>,
    pub(crate) template_parameters: HashMap<u32, Vec<NameId>>,
    pub(crate) global_names: HashMap<NameId, u32>,
    pub(crate) key_names: Vec<NameId>,
    pub(crate) attribute_set_names: Vec<NameId>,
    pub(crate) mode_names: HashMap<Option<NameId>, u32>,
    pub(crate) modes_applied: Vec<u32>,
    pub(crate) modes_matched: HashMap<u32, Place>,
    /// The last template of each pattern, with its mode, precedence and stated priority; and whether it has a name, too.
    pub(crate) patterns_seen: HashMap<(u32, String, u32, Option<u64>), (Place, bool)>,
    pub(crate) aliases: HashMap<StringId, (StringId, StringId, u32)>,
    /// Local variables in scope.
    pub(crate) locals: Vec<(NameId, u32)>,
    pub(crate) next_slot: u32,
    pub(crate) slots_max: u32,
    /// Bindings that the literal result elements around already make.
    pub(crate) lexical: Vec<(StringId, StringId)>,
    pub(crate) pattern_steps: u32,
    pub(crate) depth: usize,
    /// Top-level variables that an expression of the one being compiled names.
    pub(crate) references: Vec<u32>,
}

/// Compiles a stylesheet.
pub(crate) fn compile(
    text: &[u8],
    uri: &str,
    resolver: &dyn crate::Resolver,
    limits: ParseLimits,
) -> Result<(Sheet, Vec<Warning>), CompileError> {
    let mut compiler = Compiler::new(resolver, limits);
    let outcome = compiler.run(text, uri);
    let Compiler { errors, warnings, .. } = compiler;
    match outcome {
        Some(sheet) if errors.is_empty() => Ok((sheet, warnings)),
        _ => Err(CompileError { errors, warnings }),
    }
}

impl<'r> Compiler<'r> {
    fn new(resolver: &'r dyn crate::Resolver, limits: ParseLimits) -> Compiler<'r> {
        Compiler {
            names: Names::new(),
            modules: Vec::new(),
            resolver,
            limits,
            errors: Vec::new(),
            warnings: Vec::new(),
            top: Vec::new(),
            precedence: 0,
            template_names: HashMap::new(),
            template_parameters: HashMap::new(),
            global_names: HashMap::new(),
            key_names: Vec::new(),
            attribute_set_names: Vec::new(),
            mode_names: HashMap::from([(None, 0)]),
            modes_applied: vec![0],
            modes_matched: HashMap::new(),
            patterns_seen: HashMap::new(),
            aliases: HashMap::new(),
            locals: Vec::new(),
            next_slot: 0,
            slots_max: 0,
            lexical: Vec::new(),
            pattern_steps: 0,
            depth: 0,
            references: Vec::new(),
        }
    }

    fn run(&mut self, text: &[u8], uri: &str) -> Option<Sheet> {
        self.load_principal(text, uri);
        if self.modules.is_empty() {
            return None;
        }
        self.declare();
        let sheet = self.compile_declarations();
        self.warn_of_modes();
        Some(sheet)
    }

    // --- reporting

    pub(crate) fn error(&mut self, error: Error) {
        /// So that a broken stylesheet does not fill the memory with its errors.
        const ERRORS_MAX: usize = 100;
        if self.errors.len() < ERRORS_MAX {
            self.errors.push(error);
        }
    }

    pub(crate) fn fault(&mut self, module: &Module, element: u32, message: impl Into<String>) {
        let error = Error::new(ErrorKind::Stylesheet, message).at(module.place(element));
        self.error(error);
    }

    pub(crate) fn warn(&mut self, message: impl Into<String>, place: Place, hint: impl Into<String>) {
        self.warnings.push(Warning { message: message.into(), place: Some(place), hint: Some(hint.into()) });
    }

    fn warn_of_modes(&mut self) {
        let unused: Vec<(u32, Place)> = self
            .modes_matched
            .iter()
            .filter(|(mode, _)| !self.modes_applied.contains(mode))
            .map(|(&mode, place)| (mode, place.clone()))
            .collect();
        for (mode, place) in unused {
            let name = self.mode_names.iter().find(|&(_, &number)| number == mode).and_then(|(&name, _)| name);
            let name = name.map_or(String::new(), |name| self.names.readable(name));
            self.warn(
                format!("no xsl:apply-templates uses the mode \"{name}\": this template is never reached"),
                place,
                "use the mode or remove the template",
            );
        }
    }

    // --- names

    /// A qualified name in an attribute, without the default namespace (XSLT 1.0, section 2.4).
    pub(crate) fn qname(&mut self, module: &Module, element: u32, attribute: u32) -> Option<NameId> {
        let value = trim(module.tree.value(attribute)).to_owned();
        let Some((prefix, local)) = split_qname(&value) else {
            let error = Error::new(ErrorKind::Stylesheet, "this is no qualified name").found(value).at(module.place(attribute));
            self.error(error);
            return None;
        };
        let uri = if prefix.is_empty() {
            StringId::EMPTY
        } else {
            let prefix_id = self.names.string(prefix);
            match module.tree.resolve(element, prefix_id) {
                Some(uri) => uri,
                None => {
                    let error = Error::new(ErrorKind::Stylesheet, "a prefix that is not declared")
                        .found(value.clone())
                        .hint(format!("declare it: xmlns:{prefix}=\"…\""))
                        .at(module.place(attribute));
                    self.error(error);
                    return None;
                }
            }
        };
        let local = self.names.string(local);
        Some(self.names.expanded(uri, local))
    }

    pub(crate) fn mode(&mut self, name: Option<NameId>) -> u32 {
        let next = self.mode_names.len() as u32;
        *self.mode_names.entry(name).or_insert(next)
    }

    /// Where a variable is kept that is visible now.
    pub(crate) fn find_variable(&mut self, name: NameId) -> Option<Slot> {
        if let Some(&(_, slot)) = self.locals.iter().rev().find(|(known, _)| *known == name) {
            return Some(Slot::Local(slot));
        }
        let global = self.global_names.get(&name).copied()?;
        self.references.push(global);
        Some(Slot::Global(global))
    }

    /// A slot for a new local variable.
    pub(crate) fn new_local(&mut self, module: &Module, element: u32, name: NameId) -> u32 {
        if self.locals.iter().any(|(known, _)| *known == name) {
            let shown = self.names.readable(name);
            let error = Error::new(ErrorKind::Stylesheet, "a variable hides another of the same template")
                .found(format!("${shown}"))
                .hint("give one of them another name; a variable cannot be changed (XSLT 1.0, section 11.5)")
                .at(module.place(element));
            self.error(error);
        }
        let slot = self.next_slot;
        self.next_slot += 1;
        self.slots_max = self.slots_max.max(self.next_slot);
        self.locals.push((name, slot));
        slot
    }
}

/// The rules of a mode in the order in which they are tried, indexed.
pub(crate) fn index_rules(mut rules: Vec<Rule>) -> Mode {
    // The later of two equal ones wins (section 5.5, the recovery).
    rules.sort_by(|a, b| {
        b.precedence
            .cmp(&a.precedence)
            .then(b.priority.partial_cmp(&a.priority).unwrap_or(std::cmp::Ordering::Equal))
            .then(b.order.cmp(&a.order))
    });
    let mut mode = Mode::default();
    let subjects: Vec<(Vec<Kind>, Option<NameId>)> = rules.iter().map(|rule| rule.pattern.subject()).collect();
    let mut named: Vec<(u8, NameId)> = Vec::new();
    for (kinds, name) in &subjects {
        if let Some(name) = name {
            named.extend(kinds.iter().map(|&kind| (kind as u8, *name)));
        }
    }
    named.sort_unstable();
    named.dedup();
    for key in named {
        let list = subjects
            .iter()
            .enumerate()
            .filter(|(_, (kinds, name))| kinds.iter().any(|&kind| kind as u8 == key.0) && name.is_none_or(|name| name == key.1))
            .map(|(index, _)| index as u32)
            .collect();
        mode.by_name.insert(key, list);
    }
    for (index, (kinds, name)) in subjects.iter().enumerate() {
        if name.is_none() {
            for &kind in kinds {
                mode.by_kind[kind as usize].push(index as u32);
            }
        }
    }
    mode.rules = rules;
    mode
}

/// The alternatives of a pattern as rules.
pub(crate) fn rules_of(patterns: Vec<Pattern>, template: u32, priority: Option<f64>, precedence: u32, order: u32) -> Vec<Rule> {
    patterns
        .into_iter()
        .map(|pattern| Rule { priority: priority.unwrap_or_else(|| pattern.default_priority()), pattern, template, precedence, order })
        .collect()
}

/// Whether an element of XSLT is an instruction: what `element-available` tells.
pub(crate) fn is_instruction(local: &str) -> bool {
    element::find(local).is_some_and(|known| known.instruction)
}

/// How many letters must be changed to make one word of another.
pub(crate) fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, c) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &d) in b.iter().enumerate() {
            let substitution = diagonal + usize::from(c != d);
            diagonal = row[j + 1];
            row[j + 1] = substitution.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
