//! Decides whether a stylesheet can do with one record at a time: nothing may look from one record to another, or at all of them.
//!
//! Each expression is followed from where it starts: the document, its root element, or so many levels inside a record. What would leave
//! the record sideways, or use the document or root element as a value, is the reason to read the document whole.

use std::collections::HashSet;

use super::{Selection, rules_beside, selection, selects_beside};
use crate::name::NameId;
use crate::run::Run;
use crate::sheet::{Binding, Instruction, Operation, Part, ValueTemplate, WithParam};
use crate::tree::Kind;
use crate::tree::node::Node;
use crate::xpath::axis::passes;
use crate::xpath::expression::{Axis, Call, Expression, Path, Predicate, Slot, Start, Step, Test};
use crate::xpath::function::Function;

/// Where a node is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Level {
    Document,
    Root,
    RootAttribute,
    /// At least so deep inside a record; 0 is the record itself.
    Inside(u8),
    /// In another document or a fragment.
    Foreign,
}

/// Levels deeper than this are not told apart.
const DEPTH_MAX: u8 = 6;

/// Where an expression is evaluated.
#[derive(Clone, Copy)]
struct Place {
    level: Level,
    /// `current()`
    current: Level,
    /// The context list are the records: its size is not known.
    list: bool,
}

type Verdict<T> = Result<T, String>;

struct Analysis<'r, 'a> {
    run: &'r mut Run<'a>,
    source: Node,
    root: u32,
    templates: HashSet<(u32, Level, bool)>,
    globals: HashSet<u32>,
    sets: HashSet<NameId>,
}

/// Says why the document must be read whole, if it must. The head of the document is in place as the run's source.
pub(crate) fn reason(run: &mut Run<'_>, root: u32) -> Option<String> {
    let source = run.source;
    let mut analysis = Analysis { run, source, root, templates: HashSet::new(), globals: HashSet::new(), sets: HashSet::new() };
    let outcome = analysis.patterns().and_then(|()| analysis.apply_at(source, 0, false));
    match outcome {
        Ok(0) => Some("no instruction goes through the records".to_owned()),
        Ok(1) => None,
        Ok(_) => Some("the records are gone through more than once".to_owned()),
        Err(reason) => Some(reason),
    }
}

impl<'a> Analysis<'_, 'a> {
    fn at(&self, instruction: &Instruction, reason: String) -> String {
        if reason.contains(" (at ") { reason } else { format!("{reason} (at {})", instruction.place) }
    }

    /// Patterns may not count positions or look beside a record.
    fn patterns(&mut self) -> Verdict<()> {
        let sheet = self.run.sheet;
        for rule in sheet.modes.iter().flat_map(|mode| &mode.rules) {
            if matches!(rule.pattern.origin, crate::pattern::Origin::Id(_) | crate::pattern::Origin::Key(..)) {
                return Err("a pattern uses id() or key()".to_owned());
            }
            for step in &rule.pattern.steps {
                let head = self.run.tree(self.source);
                let may_be_root = passes(&head, &self.run.names, self.root, Kind::Element, step.step.test);
                for predicate in &step.step.predicates {
                    let Predicate::Free(condition) = predicate else { return Err("a pattern counts positions".to_owned()) };
                    let levels = [Some(Level::Inside(0)), may_be_root.then_some(Level::Root)];
                    for level in levels.into_iter().flatten() {
                        self.value(condition, Place { level, current: level, list: false })?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Applies templates to the document or the root element: the one that really matches.
    fn apply_at(&mut self, node: Node, mode: u32, list: bool) -> Verdict<usize> {
        let level = if node == self.source { Level::Document } else { Level::Root };
        let rule = self.run.rule(node, mode, None).map_err(|error| error.message)?;
        match rule {
            Some(rule) => self.template(rule.template, level, list),
            None if level == Level::Document => self.apply_beside(mode),
            None => {
                self.apply_inside(mode, Level::Inside(0), true, None)?;
                Ok(1)
            }
        }
    }

    /// Applies templates to the root element and to all that stands beside it. How much that is shows behind the records.
    fn apply_beside(&mut self, mode: u32) -> Verdict<usize> {
        let count = self.apply_at(self.source.with(self.root), mode, true)?;
        let sheet = self.run.sheet;
        for rule in rules_beside(sheet, mode) {
            if count == 0 {
                return Err("what stands behind the root element is gone to before the records".to_owned());
            }
            // What a record may look at, they may, too: nothing beside them.
            no_records(self.template(rule.template, Level::Inside(0), true)?)?;
        }
        Ok(count)
    }

    fn template(&mut self, index: u32, level: Level, list: bool) -> Verdict<usize> {
        if !self.templates.insert((index, level, list)) {
            // At the document or root element, a second time means that the records may be gone through twice.
            return Ok(if matches!(level, Level::Document | Level::Root) { 2 } else { 0 });
        }
        let sheet = self.run.sheet;
        self.body(&sheet.templates[index as usize].body, Place { level, current: level, list })
    }

    /// All templates that nodes of this level can get.
    fn apply_inside(&mut self, mode: u32, level: Level, list: bool, names: Option<&[NameId]>) -> Verdict<()> {
        let sheet = self.run.sheet;
        for rule in &sheet.modes[mode as usize].rules {
            let (kinds, name) = rule.pattern.subject();
            let possible = match (names, name) {
                (Some(names), Some(name)) => names.contains(&name),
                _ => true,
            };
            if possible && kinds.iter().any(|&kind| kind != Kind::Root) {
                no_records(self.template(rule.template, level, list)?)?;
            }
        }
        // The built-in rules go on to the children.
        if names.is_some() || list {
            self.apply_inside(mode, deeper(level), false, None)?;
        }
        Ok(())
    }

    fn body(&mut self, body: &'a [Instruction], place: Place) -> Verdict<usize> {
        let mut iterations = 0;
        for instruction in body {
            iterations += self.instruction(instruction, place).map_err(|reason| self.at(instruction, reason))?;
        }
        Ok(iterations)
    }

    fn instruction(&mut self, instruction: &'a Instruction, place: Place) -> Verdict<usize> {
        match &instruction.operation {
            Operation::Text(..) => Ok(0),
            Operation::Literal(element) => {
                for (_, value) in &element.attributes {
                    self.value_template(value, place)?;
                }
                self.attribute_sets(&element.attribute_sets, place)?;
                self.body(&element.body, place)
            }
            Operation::ValueOf(expression, _) | Operation::CopyOf(expression) => {
                self.value(expression, place)?;
                Ok(0)
            }
            Operation::ApplyTemplates { select, mode, sorts, parameters } => {
                self.parameters(parameters, place)?;
                if let Some(count) = self.goes_through(select.as_ref(), !sorts.is_empty(), place, |analysis, selection| {
                    let names = selection.names();
                    analysis.apply_inside(*mode, Level::Inside(0), true, names.as_deref())
                })? {
                    return Ok(count);
                }
                let to_root = match select {
                    Some(select) => self.is_root_element(select, place),
                    None => place.level == Level::Document,
                };
                if to_root {
                    if !sorts.is_empty() {
                        return Err("the root element is sorted".to_owned());
                    }
                    return match (selects_beside(select.as_ref()), place.level) {
                        (false, _) => self.apply_at(self.source.with(self.root), *mode, false),
                        (true, Level::Document) => self.apply_beside(*mode),
                        (true, _) => Err("what stands beside the root element is gone to from below".to_owned()),
                    };
                }
                let target = match select {
                    Some(select) => self.nodes(select, place)?,
                    None => deeper(place.level),
                };
                for sort in sorts {
                    self.sort(sort, target)?;
                }
                let names = select.as_ref().and_then(last_names);
                self.check_target(target)?;
                self.apply_inside(*mode, target, false, names.as_deref())?;
                Ok(0)
            }
            Operation::ApplyImports => match place.level {
                Level::Inside(_) => Ok(0),
                _ => Err("xsl:apply-imports at the root element".to_owned()),
            },
            Operation::Call { template, parameters } => {
                self.parameters(parameters, place)?;
                let current = Place { current: place.level, ..place };
                self.template(*template, current.level, current.list)
            }
            Operation::ForEach { select, sorts, body } => {
                if let Some(count) = self.goes_through(Some(select), !sorts.is_empty(), place, |analysis, _| {
                    let inside = Level::Inside(0);
                    no_records(analysis.body(body, Place { level: inside, current: inside, list: true })?)
                })? {
                    return Ok(count);
                }
                if self.is_root_element(select, place) && !selects_beside(Some(select)) {
                    return self.body(body, Place { level: Level::Root, current: Level::Root, list: false });
                }
                let target = self.nodes(select, place)?;
                self.check_target(target)?;
                for sort in sorts {
                    self.sort(sort, target)?;
                }
                no_records(self.body(body, Place { level: target, current: target, list: false })?)?;
                Ok(0)
            }
            Operation::If(test, body) => {
                self.value(test, place)?;
                self.body(body, place)
            }
            Operation::Choose(branches, otherwise) => {
                let mut most = self.body(otherwise, place)?;
                for (test, body) in branches {
                    self.value(test, place)?;
                    most = most.max(self.body(body, place)?);
                }
                Ok(most)
            }
            Operation::Copy { attribute_sets, body } => {
                self.attribute_sets(attribute_sets, place)?;
                self.body(body, place)
            }
            Operation::Element { name, namespace, attribute_sets, body, .. } => {
                self.value_template(name, place)?;
                namespace.iter().try_for_each(|template| self.value_template(template, place))?;
                self.attribute_sets(attribute_sets, place)?;
                self.body(body, place)
            }
            Operation::Attribute { name, namespace, body, .. } => {
                self.value_template(name, place)?;
                namespace.iter().try_for_each(|template| self.value_template(template, place))?;
                self.body(body, place)
            }
            Operation::Comment(body) | Operation::Message { body, .. } => self.body(body, place),
            Operation::Instruction { name, body } => {
                self.value_template(name, place)?;
                self.body(body, place)
            }
            Operation::Variable { value, .. } | Operation::Parameter { value, .. } => self.binding(value, place),
            Operation::Number(number) => match &number.value {
                Some(value) => self.value(value, place).map(|()| 0),
                None => Err("xsl:number counts nodes".to_owned()),
            },
            Operation::Unknown { fallbacks, .. } => match fallbacks {
                Some(body) => self.body(body, place),
                None => Ok(0),
            },
        }
    }

    /// Whether an instruction goes through the records; then what it does with each is checked, and it counts one.
    fn goes_through<'e>(
        &mut self,
        select: Option<&'e Expression>,
        sorted: bool,
        place: Place,
        check: impl FnOnce(&mut Self, &Selection<'e>) -> Verdict<()>,
    ) -> Verdict<Option<usize>> {
        let at_root = match place.level {
            Level::Document => false,
            Level::Root => true,
            _ => return Ok(None),
        };
        let head = self.run.tree(self.source);
        let Some(found) = selection(select, at_root, &head, &self.run.names, self.root) else { return Ok(None) };
        if sorted {
            return Err("the records are sorted".to_owned());
        }
        for predicate in found.predicates() {
            if let Predicate::Free(condition) = predicate {
                let level = Level::Inside(0);
                self.value(condition, Place { level, current: place.level, list: true })?;
            }
        }
        check(self, &found)?;
        Ok(Some(1))
    }

    /// Whether an expression selects the root element from the document.
    fn is_root_element(&self, select: &Expression, place: Place) -> bool {
        let Expression::Path(path) = select else { return false };
        let from_document = matches!(path.start, Start::Root) || matches!(path.start, Start::Context) && place.level == Level::Document;
        let [step] = &path.steps[..] else { return false };
        let head = self.run.tree_ref(self.source);
        from_document
            && step.axis == Axis::Child
            && step.predicates.is_empty()
            && passes(head, &self.run.names, self.root, Kind::Element, step.test)
    }

    fn check_target(&self, level: Level) -> Verdict<()> {
        match level {
            Level::Document | Level::Root => Err("the root element is gone to from below".to_owned()),
            _ => Ok(()),
        }
    }

    fn sort(&mut self, sort: &crate::sheet::SortKey, level: Level) -> Verdict<()> {
        self.value(&sort.select, Place { level, current: level, list: false })?;
        for template in [&sort.language, &sort.data_type, &sort.order, &sort.case_order].into_iter().flatten() {
            self.value_template(template, Place { level, current: level, list: false })?;
        }
        Ok(())
    }

    fn parameters(&mut self, parameters: &'a [WithParam], place: Place) -> Verdict<()> {
        for parameter in parameters {
            if self.binding(&parameter.value, place)? > 0 {
                return Err("a parameter goes through the records".to_owned());
            }
        }
        Ok(())
    }

    fn binding(&mut self, binding: &'a Binding, place: Place) -> Verdict<usize> {
        match binding {
            Binding::Empty => Ok(0),
            Binding::Select(expression) => self.value(expression, place).map(|()| 0),
            Binding::Content(body) => match self.body(body, place)? {
                0 => Ok(0),
                _ => Err("a variable holds what is made of all records".to_owned()),
            },
        }
    }

    fn attribute_sets(&mut self, sets: &[NameId], place: Place) -> Verdict<()> {
        let sheet = self.run.sheet;
        for name in sets {
            if !self.sets.insert(*name) {
                continue;
            }
            for set in sheet.attribute_sets.get(name).into_iter().flatten() {
                self.attribute_sets(&set.uses, place)?;
                no_records(self.body(&set.body, place)?)?;
            }
            // Another use may be at another level.
            self.sets.remove(name);
        }
        Ok(())
    }

    fn value_template(&mut self, template: &ValueTemplate, place: Place) -> Verdict<()> {
        if let ValueTemplate::Parts(parts) = template {
            for part in parts {
                if let Part::Expression(expression) = part {
                    self.value(expression, place)?;
                }
            }
        }
        Ok(())
    }

    /// An expression whose value is used: it may not be the document or its root element.
    fn value(&mut self, expression: &Expression, place: Place) -> Verdict<()> {
        match self.nodes(expression, place)? {
            Level::Document | Level::Root => Err("the document or its root element is used as a whole".to_owned()),
            _ => Ok(()),
        }
    }

    /// The level of the nodes that an expression gives; `Foreign` for other values.
    fn nodes(&mut self, expression: &Expression, place: Place) -> Verdict<Level> {
        match expression {
            Expression::Number(_) | Expression::Text(_) | Expression::Fail(_) => Ok(Level::Foreign),
            // Whatever nodes got into a variable passed this check: none is above the records.
            Expression::Variable(Slot::Local(_)) => Ok(Level::Inside(0)),
            Expression::Variable(Slot::Global(index)) => {
                if self.globals.insert(*index) {
                    let sheet = self.run.sheet;
                    let document = Place { level: Level::Document, current: Level::Document, list: false };
                    if self.binding(&sheet.globals[*index as usize].value, document)? > 0 {
                        return Err("a top-level variable goes through the records".to_owned());
                    }
                }
                Ok(Level::Inside(0))
            }
            Expression::Or(list) | Expression::And(list) => {
                list.iter().try_for_each(|part| self.value(part, place))?;
                Ok(Level::Foreign)
            }
            Expression::Compare(_, sides) | Expression::Arithmetic(_, sides) => {
                self.value(&sides.0, place)?;
                self.value(&sides.1, place)?;
                Ok(Level::Foreign)
            }
            Expression::Negate(inner) => self.value(inner, place).map(|()| Level::Foreign),
            Expression::Union(parts) => {
                let mut level = None;
                for part in parts {
                    let next = self.nodes(part, place)?;
                    level = Some(level.map_or(next, |known| higher(known, next)));
                }
                Ok(level.unwrap_or(Level::Foreign))
            }
            Expression::Filter(inner, predicates) => {
                let level = self.nodes(inner, place)?;
                self.predicates(predicates, level, place)?;
                Ok(level)
            }
            Expression::Path(path) => self.path(path, place),
            Expression::Call(call) => self.call(call, place),
        }
    }

    fn path(&mut self, path: &Path, place: Place) -> Verdict<Level> {
        let mut level = match &path.start {
            Start::Context => place.level,
            Start::Root => match place.level {
                Level::Foreign => Level::Foreign,
                _ => Level::Document,
            },
            Start::From(inner) => self.nodes(inner, place)?,
        };
        for step in &path.steps {
            level = self.step(step, level)?;
            self.predicates(&step.predicates, level, place)?;
        }
        Ok(level)
    }

    fn predicates(&mut self, predicates: &[Predicate], level: Level, place: Place) -> Verdict<()> {
        for predicate in predicates {
            if let Predicate::Free(condition) | Predicate::General(condition) = predicate {
                self.value(condition, Place { level, current: place.current, list: false })?;
            }
        }
        Ok(())
    }

    fn step(&self, step: &Step, level: Level) -> Verdict<Level> {
        let sideways = || Err("a step leads from one record to others".to_owned());
        match level {
            Level::Foreign => Ok(Level::Foreign),
            Level::Document => match step.axis {
                Axis::SelfNode => Ok(level),
                Axis::Child => Ok(Level::Root),
                _ => Err("a path from the document leads to all records".to_owned()),
            },
            Level::Root => match step.axis {
                Axis::SelfNode => Ok(level),
                Axis::Attribute | Axis::Namespace => Ok(Level::RootAttribute),
                Axis::Parent => Ok(Level::Document),
                _ => Err("a path from the root element leads to all records".to_owned()),
            },
            Level::RootAttribute => match step.axis {
                Axis::SelfNode => Ok(level),
                _ => Err("a path from an attribute of the root element".to_owned()),
            },
            Level::Inside(depth) => match step.axis {
                Axis::Child | Axis::Descendant | Axis::Attribute | Axis::Namespace => Ok(deeper(level)),
                Axis::SelfNode | Axis::DescendantOrSelf => Ok(level),
                Axis::Parent if depth > 0 => Ok(Level::Inside(depth - 1)),
                Axis::Parent | Axis::Ancestor | Axis::AncestorOrSelf => Ok(Level::Root),
                Axis::FollowingSibling | Axis::PrecedingSibling if depth > 0 => Ok(level),
                _ => sideways(),
            },
        }
    }

    fn call(&mut self, call: &Call, place: Place) -> Verdict<Level> {
        match call.function {
            Function::Last if place.list => return Err("last() asks for the number of records".to_owned()),
            Function::Key | Function::Id => return Err(format!("{}() looks through the whole document", call.function.signature().name)),
            Function::GenerateId => return Err("generate-id() tells nodes of different records apart".to_owned()),
            Function::Evaluate => return Err("an expression is made while transforming".to_owned()),
            Function::Current => return Ok(place.current),
            // The name of the root element is known.
            Function::Name | Function::LocalName | Function::NamespaceUri => {
                call.arguments.iter().try_for_each(|argument| self.nodes(argument, place).map(|_| ()))?;
                return Ok(Level::Foreign);
            }
            Function::String | Function::Number | Function::StringLength | Function::NormalizeSpace
                if call.arguments.is_empty() && matches!(place.level, Level::Document | Level::Root) =>
            {
                return Err("the document or its root element is used as a whole".to_owned());
            }
            _ => {}
        }
        let mut level = None;
        for argument in &call.arguments {
            self.value(argument, place)?;
            let next = self.nodes(argument, place)?;
            level = Some(level.map_or(next, |known| higher(known, next)));
        }
        // A function that gives nodes gives some of its arguments', or new ones.
        Ok(match call.function {
            Function::Document => Level::Foreign,
            _ => level.unwrap_or(Level::Foreign),
        })
    }
}

/// What may be done several times, or where nobody counts, may not go through the records.
fn no_records(count: usize) -> Verdict<()> {
    if count == 0 { Ok(()) } else { Err("the records are gone through more than once".to_owned()) }
}

fn deeper(level: Level) -> Level {
    match level {
        Level::Document => Level::Root,
        Level::Root => Level::Inside(0),
        Level::Inside(depth) => Level::Inside((depth + 1).min(DEPTH_MAX)),
        other => other,
    }
}

/// The one of two from which less is allowed.
fn higher(one: Level, other: Level) -> Level {
    let rank = |level: Level| match level {
        Level::Document => 0,
        Level::Root => 1,
        Level::RootAttribute => 2,
        Level::Inside(depth) => 3 + u32::from(depth),
        Level::Foreign => u32::MAX,
    };
    if rank(one) <= rank(other) { one } else { other }
}

/// The names of the elements an expression can select, if only elements of known names.
fn last_names(select: &Expression) -> Option<Vec<NameId>> {
    match select {
        Expression::Path(path) => match path.steps.last() {
            Some(Step { axis: Axis::Child | Axis::Descendant, test: Test::Name(name), .. }) => Some(vec![*name]),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::transform_with;
    use crate::{Records, Way};

    const INPUT: &str = r#"<R v="1"><!--c--><r k="1"><f>a</f><l><i/><i/></l></r> <r k="2"><f>b</f></r><s/></R>"#;

    /// The way that is taken; the result must be the same as with the whole document.
    fn way(body: &str) -> Way {
        let (whole, _) = transform_with(body, INPUT, Records::Never).expect("good");
        let (by_record, report) = transform_with(body, INPUT, Records::WhenAllowed).expect("good");
        assert_eq!(whole, by_record, "{body}");
        report.way
    }

    #[test]
    fn what_stays_inside_a_record_goes_record_by_record() {
        for body in [
            r#"<xsl:template match="@*|node()"><xsl:copy><xsl:apply-templates select="@*|node()"/></xsl:copy></xsl:template>"#,
            r#"<xsl:template match="/"><o><xsl:for-each select="R/r"><x n="{position()}" v="{/R/@v}"><xsl:value-of select="f"/></x></xsl:for-each></o></xsl:template>"#,
            r#"<xsl:template match="/R"><o v="{@v}"><xsl:apply-templates select="r[@k = 2]"/></o></xsl:template><xsl:template match="r"><x><xsl:value-of select="count(l/i)"/></x></xsl:template>"#,
            r#"<xsl:template match="r"><x><xsl:for-each select="l/i"><i p="{position()}" of="{last()}" k="{../../@k}"/></xsl:for-each></x></xsl:template>"#,
            r#"<xsl:template match="/"><o><xsl:apply-templates/></o></xsl:template><xsl:template match="R"><xsl:apply-templates select="*"/></xsl:template><xsl:template match="r"><xsl:call-template name="t"/></xsl:template><xsl:template name="t"><t f="{f}" r="{name(..)}"/></xsl:template>"#,
        ] {
            assert!(matches!(way(body), Way::RecordByRecord { records } if records > 0), "{body}: {:?}", way(body));
        }
    }

    #[test]
    fn what_stands_beside_the_root_element_has_its_templates() {
        let input = "<?a 1?><!--before--><R><r>x</r><r>y</r></R><!--behind--><?b 2?>";
        let identity = r#"<xsl:template match="@*|node()"><xsl:copy><xsl:apply-templates select="@*|node()"/></xsl:copy></xsl:template>"#;
        let comments = r#"<xsl:template match="comment()"><c p="{position()}"><xsl:value-of select="."/></c></xsl:template>"#;
        for (body, streams) in [
            (identity.to_owned(), true),
            (format!("{comments}<xsl:template match=\"/\"><o><xsl:apply-templates/></o></xsl:template>"), true),
            (format!("{comments}<xsl:template match=\"/\"><o><xsl:apply-templates select=\"node()\"/></o></xsl:template>"), true),
            (format!("{comments}<xsl:template match=\"/\"><o><xsl:apply-templates select=\"*\"/></o></xsl:template>"), true),
            (format!("{comments}<xsl:template match=\"/\"><o><xsl:apply-templates select=\"@*|node()\"/></o></xsl:template>"), false),
            (format!("{comments}<xsl:template match=\"/\"><o><xsl:for-each select=\"node()\"><xsl:apply-templates select=\"r\"/></xsl:for-each></o></xsl:template>"), false),
            (format!("{comments}<xsl:template match=\"R\"><o l=\"{{last()}}\"><xsl:apply-templates select=\"r\"/></o></xsl:template>"), false),
            (format!("{comments}<xsl:template match=\"/\"><o><xsl:apply-templates select=\"*\"/></o></xsl:template><xsl:template match=\"R\"><o l=\"{{last()}}\"><xsl:apply-templates select=\"r\"/></o></xsl:template>"), true),
            (r#"<xsl:template match="/"><o><xsl:apply-templates/></o></xsl:template><xsl:template match="comment()"><xsl:value-of select="count(../R/r)"/></xsl:template><xsl:template match="R"><xsl:for-each select="r"><x/></xsl:for-each></xsl:template>"#.to_owned(), false),
            (r#"<xsl:template match="/"><o><xsl:apply-templates/></o></xsl:template><xsl:template match="comment()"><xsl:value-of select="count(following-sibling::R/r)"/></xsl:template><xsl:template match="R"><xsl:for-each select="r"><x/></xsl:for-each></xsl:template>"#.to_owned(), false),
            (r#"<xsl:template match="/"><o><xsl:apply-templates mode="a"/><xsl:apply-templates/></o></xsl:template><xsl:template match="comment()" mode="a"><c/></xsl:template><xsl:template match="R" mode="a"><R/></xsl:template>"#.to_owned(), false),
            (r#"<xsl:template match="/"><o><xsl:apply-templates mode="a"/><xsl:apply-templates/></o></xsl:template><xsl:template match="R" mode="a"><R/></xsl:template>"#.to_owned(), true),
        ] {
            let (whole, _) = transform_with(&body, input, Records::Never).expect("good");
            let (by_record, report) = transform_with(&body, input, Records::WhenAllowed).expect("good");
            assert_eq!(whole, by_record, "{body}");
            assert_eq!(matches!(report.way, Way::RecordByRecord { .. }), streams, "{body}: {:?}", report.way);
        }
    }

    #[test]
    fn records_inside_of_a_record_are_read_whole() {
        for body in [
            r#"<xsl:template match="/"><o><xsl:apply-templates select="R/r"/></o></xsl:template><xsl:template match="r"><x><xsl:apply-templates select="/R" mode="m"/></x></xsl:template><xsl:template match="R" mode="m"><xsl:for-each select="r"><y/></xsl:for-each></xsl:template>"#,
            r#"<xsl:template match="/"><o><xsl:for-each select="R/r"><x><xsl:apply-templates select="/*" mode="m"/></x></xsl:for-each></o></xsl:template><xsl:template match="R" mode="m"><xsl:for-each select="r"><y/></xsl:for-each></xsl:template>"#,
            r#"<xsl:template match="R"><o><xsl:apply-templates/></o></xsl:template><xsl:template match="r"><xsl:for-each select="/R"><xsl:for-each select="r"><y/></xsl:for-each></xsl:for-each></xsl:template>"#,
        ] {
            assert!(matches!(way(body), Way::WholeBecause(_)), "{body}: {:?}", way(body));
        }
    }

    #[test]
    fn what_looks_further_is_read_whole() {
        for (body, reason) in [
            (
                r#"<xsl:template match="/"><o n="{count(R/r)}"><xsl:for-each select="R/r"><x/></xsl:for-each></o></xsl:template>"#,
                "leads to all records",
            ),
            (
                r#"<xsl:template match="/"><o><xsl:for-each select="R/r"><x p="{preceding-sibling::r[1]/f}"/></xsl:for-each></o></xsl:template>"#,
                "from one record to others",
            ),
            (r#"<xsl:template match="/"><o><xsl:for-each select="R/r"><x l="{last()}"/></xsl:for-each></o></xsl:template>"#, "last()"),
            (
                r#"<xsl:template match="/"><o><xsl:for-each select="R/r"><xsl:sort select="f" order="descending"/><x/></xsl:for-each></o></xsl:template>"#,
                "sorted",
            ),
            (
                r#"<xsl:key name="k" match="r" use="@k"/><xsl:template match="/"><o><xsl:for-each select="R/r"><x><xsl:value-of select="key('k', 2)/f"/></x></xsl:for-each></o></xsl:template>"#,
                "key()",
            ),
            (
                r#"<xsl:template match="/"><o><xsl:for-each select="R/r"><x/></xsl:for-each><xsl:for-each select="R/r"><y/></xsl:for-each></o></xsl:template>"#,
                "more than once",
            ),
            (r#"<xsl:template match="/"><o><xsl:value-of select="R"/></o></xsl:template>"#, "as a whole"),
            (
                r#"<xsl:template match="r[2]"><second/></xsl:template><xsl:template match="/"><o><xsl:apply-templates/></o></xsl:template>"#,
                "counts positions",
            ),
            (
                r#"<xsl:variable name="all" select="//r"/><xsl:template match="/"><o><xsl:for-each select="R/r"><x c="{count($all)}"/></xsl:for-each></o></xsl:template>"#,
                "all records",
            ),
            (
                r#"<xsl:template match="/"><o><xsl:for-each select="R/r"><xsl:value-of select="../s"/><x/></xsl:for-each></o></xsl:template>"#,
                "all records",
            ),
            (r#"<xsl:template match="/"><o><xsl:for-each select="R/r"><xsl:number/></xsl:for-each></o></xsl:template>"#, "counts nodes"),
            (r#"<xsl:template match="/"><o/></xsl:template>"#, "no instruction"),
        ] {
            match way(body) {
                Way::WholeBecause(given) => assert!(given.contains(reason), "{body}: {given}"),
                other => panic!("{body}: {other:?}"),
            }
        }
    }
}
