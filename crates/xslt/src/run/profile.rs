//! Where the time goes: hits and time per template, by a clock that the caller passes in.

use crate::sheet::Sheet;

/// What one template took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TemplateProfile {
    /// Its name or match pattern.
    pub label: String,
    /// Where it stands.
    pub place: Option<crate::error::Place>,
    /// How often it was entered.
    pub hits: u64,
    /// Nanoseconds inside it, without those inside templates it called.
    pub own_nanoseconds: u64,
    /// Nanoseconds inside it and all it called; of a recursion, each level counts.
    pub total_nanoseconds: u64,
}

/// A profile in the making.
pub(crate) struct Profile<'a> {
    /// Nanoseconds from any fixed point.
    clock: &'a (dyn Fn() -> u64 + Sync),
    entries: Vec<TemplateProfile>,
    /// Open templates: number, entered at, nanoseconds in callees.
    open: Vec<(u32, u64, u64)>,
}

impl<'a> Profile<'a> {
    pub(crate) fn new(sheet: &Sheet, clock: &'a (dyn Fn() -> u64 + Sync)) -> Profile<'a> {
        let entries = sheet
            .templates
            .iter()
            .map(|template| TemplateProfile {
                label: template.label.clone(),
                place: Some(template.place.clone()),
                ..TemplateProfile::default()
            })
            .collect();
        Profile { clock, entries, open: Vec::new() }
    }

    pub(crate) fn enter(&mut self, template: u32) {
        self.open.push((template, (self.clock)(), 0));
        self.entries[template as usize].hits += 1;
    }

    pub(crate) fn leave(&mut self) {
        let Some((template, entered, inside)) = self.open.pop() else { return };
        let total = (self.clock)().saturating_sub(entered);
        let entry = &mut self.entries[template as usize];
        entry.total_nanoseconds += total;
        entry.own_nanoseconds += total.saturating_sub(inside);
        if let Some(outer) = self.open.last_mut() {
            outer.2 += total;
        }
    }

    /// The templates that were entered, the most expensive first.
    pub(crate) fn finish(self) -> Vec<TemplateProfile> {
        let mut entries: Vec<TemplateProfile> = self.entries.into_iter().filter(|entry| entry.hits > 0).collect();
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.own_nanoseconds));
        entries
    }
}
