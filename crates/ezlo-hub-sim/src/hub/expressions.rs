//! Expressions, variables and scripts of scenes (d22, pi).
//!
//! The simulator has no Lua: a variable has its value, the value of an expression is the one that the client sent with it, and an
//! expression without a value reports an error in lists. Scripts are stored; running one has no effect (inferred).

use ezlo_protocol::hub::Empty;
use ezlo_protocol::hub::scene::{Expression, ExpressionList, ExpressionQuery, ExpressionRef, Script, ScriptRef};
use ezlo_protocol::rpc::RpcError;
use ezlo_protocol::wire::Field;
use serde_json::{Value, json};

use crate::answer::{Answer, done, missing, not_found};
use crate::context::Context;
use crate::hub::Hub;
use crate::state::newer::{NameFilter, check_size};
use crate::state::scene_events::Event;

/// Maximum number of expressions.
const MAX_EXPRESSIONS: usize = 500;
/// Maximum number of scripts.
const MAX_SCRIPTS: usize = 64;
/// Maximum length of a script, in bytes (inferred).
const MAX_SCRIPT: usize = 64 * 1024;
/// The error of an expression that was not evaluated.
const NOT_EVALUATED: &str = "the simulator does not run Lua; send a value with the code";

impl Hub {
    pub(crate) fn expression_set(&mut self, request: Expression, context: &mut Context<'_>) -> Answer<Empty> {
        let name = request.name.as_deref().filter(|name| !name.is_empty()).ok_or_else(|| missing("name"))?.to_owned();
        let code = request.code.as_deref().ok_or_else(|| missing("code"))?;
        let most = self.family.max_expression;
        let is_variable = request.variable.get() == Some(&true);
        if code.len() > most || is_variable && (!code.is_empty() || request.value.get().is_none()) {
            return Err(RpcError::known("rpc.params.invalid"));
        }
        check_size(&request)?;
        let is_new = !self.newer.expressions.contains_key(&name);
        if is_new && self.newer.expressions.len() >= MAX_EXPRESSIONS {
            return Err(RpcError::known("rpc.params.invalid"));
        }
        let id = match self.newer.expressions.get(&name) {
            Some(known) => known.id.clone(),
            None => self.new_id().into(),
        };
        let expression = Expression { id, error: Field::Absent, ..request };
        let before = self.newer.expressions.insert(name.clone(), expression.clone());
        let before = before.and_then(|before| before.value.into_option()).unwrap_or(Value::Null);
        if expression.value.get().unwrap_or(&Value::Null) != &before {
            self.events.push_back(Event::Expression { name, before });
        }
        context.broadcast(if is_new { "hub.expression.added" } else { "hub.expression.changed" }, &expression);
        done()
    }

    /// Sets the value of a variable. Returns false if it is not valid.
    pub(crate) fn set_variable(
        &mut self,
        name: &str,
        value: Value,
        value_type: Option<String>,
        context: &mut Context<'_>,
    ) -> bool {
        let known = self.newer.expressions.get(name).cloned().unwrap_or_default();
        let value_type = value_type.map_or(known.value_type.clone(), Field::from);
        let variable = Expression {
            name: name.into(),
            code: "".into(),
            variable: true.into(),
            value: value.into(),
            value_type,
            ..known
        };
        self.expression_set(variable, context).is_ok()
    }

    pub(crate) fn expressions_list(&self, query: ExpressionQuery, _: &Context<'_>) -> Answer<ExpressionList> {
        let with_code = query.show_code.get().or_else(|| query.with_code.get()) == Some(&true);
        let with_value = query.show_value.get() != Some(&false);
        let (names, types) = (NameFilter::new(&query.names), NameFilter::new(&query.filter_types));
        let wanted = |expression: &&Expression| {
            let is_variable = expression.variable.get() == Some(&true);
            let kind = expression.value_type.as_deref();
            query.variable.get().is_none_or(|wanted| *wanted == is_variable)
                && names.includes(expression.name.as_deref().unwrap_or_default())
                && query.filter_type.get().is_none_or(|wanted| Some(&**wanted) == kind)
                && types.includes(kind.unwrap_or_default())
        };
        let shown = |expression: &Expression| {
            let mut shown = expression.clone();
            if !with_code {
                shown.code = Field::Absent;
            }
            if !with_value {
                shown.value = Field::Absent;
            } else if shown.value.get().is_none() {
                shown.error = json!([NOT_EVALUATED]).into();
            }
            shown
        };
        let expressions = self.newer.expressions.values().filter(wanted).map(shown).collect();
        Ok(ExpressionList { expressions, ..ExpressionList::default() })
    }

    pub(crate) fn expression_delete(&mut self, request: ExpressionRef, context: &mut Context<'_>) -> Answer<Empty> {
        let known = self.newer.expressions.shift_remove(&request.name);
        let known = known.ok_or_else(|| not_found("generic.object.not.found"))?;
        if let Some(before) = known.value.into_option() {
            self.events.push_back(Event::Expression { name: request.name.clone(), before });
        }
        context.broadcast("hub.expression.deleted", &ExpressionRef { name: request.name, ..ExpressionRef::default() });
        done()
    }

    pub(crate) fn scripts_list(&self, _: Empty, _: &Context<'_>) -> Answer<Vec<Script>> {
        let brief = |script: &Script| Script { code: Field::Absent, ..script.clone() };
        Ok(self.newer.scripts.values().map(brief).collect())
    }

    pub(crate) fn script_get(&self, request: ScriptRef, _: &Context<'_>) -> Answer<Script> {
        self.newer.scripts.get(&request.id).cloned().ok_or_else(|| not_found("generic.object.not.found"))
    }

    pub(crate) fn script_add(&mut self, request: Script, _: &mut Context<'_>) -> Answer<ScriptRef> {
        let name = request.name.get().ok_or_else(|| missing("name"))?;
        let code = request.code.get().ok_or_else(|| missing("code"))?;
        if code.len() > MAX_SCRIPT || name.len() > MAX_SCRIPT || self.newer.scripts.len() >= MAX_SCRIPTS {
            return Err(RpcError::known("rpc.params.invalid"));
        }
        let id = self.new_id();
        // Members that this type does not name are not stored, because their size has no limit.
        let script = Script { id: id.clone().into(), name: request.name, code: request.code, ..Script::default() };
        self.newer.scripts.insert(id.clone(), script);
        Ok(ScriptRef { id, ..ScriptRef::default() })
    }

    pub(crate) fn script_set(&mut self, request: Script, _: &mut Context<'_>) -> Answer<Empty> {
        let id = request.id.into_option().ok_or_else(|| missing("_id"))?;
        let is_too_long = |text: Option<&str>| text.is_some_and(|text| text.len() > MAX_SCRIPT);
        if is_too_long(request.code.as_deref()) || is_too_long(request.name.as_deref()) {
            return Err(RpcError::known("rpc.params.invalid"));
        }
        let script = self.newer.scripts.get_mut(&id).ok_or_else(|| not_found("generic.object.not.found"))?;
        script.name = request.name.or(std::mem::take(&mut script.name));
        script.code = request.code.or(std::mem::take(&mut script.code));
        done()
    }

    pub(crate) fn script_delete(&mut self, request: ScriptRef, _: &mut Context<'_>) -> Answer<Empty> {
        let known = self.newer.scripts.shift_remove(&request.id);
        known.ok_or_else(|| not_found("generic.object.not.found"))?;
        done()
    }

    pub(crate) fn script_run(&mut self, request: ScriptRef, _: &mut Context<'_>) -> Answer<Empty> {
        if self.newer.scripts.contains_key(&request.id) { done() } else { Err(not_found("generic.object.not.found")) }
    }
}
