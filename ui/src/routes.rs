//! The one table of routes: path, method, who may, and what serves it.
//!
//! In: the table. Out: the router, the OpenAPI document and the tests that walk every route as every role.
//! Promise: a route that is not in the table is not served, and each is guarded by the roles beside it.

use std::sync::Arc;

use axum::handler::Handler;
use axum::routing::{MethodFilter, MethodRouter, on};
use axum::{Extension, Router, middleware};

use crate::account::Role;
use crate::desk::Desk;
use crate::guard::{self, Access};
use crate::state::{State, UiConfig};
use crate::{
    api, api_enrollments, api_exceptions, api_preview, api_reference, api_rules, api_search, api_sql, assets, live,
    pages,
};

/// Reads: everyone but a machine that pushes.
const READ: Access = Access::Roles(&[Role::Admin, Role::Analyst, Role::Ward, Role::Auditor]);
/// Changes: everyone who works.
const WORK: Access = Access::Roles(&[Role::Admin, Role::Analyst, Role::Ward]);

/// Decides for the whole city: what is expected, which rules run.
const SOC: Access = Access::Roles(&[Role::Admin, Role::Analyst]);
/// Gives evidence away: whole, so for nobody who sees a part only.
const PROVE: Access = Access::Roles(&[Role::Admin, Role::Analyst, Role::Auditor]);
/// Runs the machine.
const ADMIN: Access = Access::Roles(&[Role::Admin]);

/// The method of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Reads.
    Get,
    /// Makes or changes.
    Post,
    /// Changes a part.
    Patch,
}

impl Verb {
    /// The method's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Verb::Get => "GET",
            Verb::Post => "POST",
            Verb::Patch => "PATCH",
        }
    }
}

/// One row of the table.
pub struct Route {
    /// The method.
    pub verb: Verb,
    /// The path, with parameters in braces.
    pub path: &'static str,
    /// Who may.
    pub access: Access,
    serve: fn(MethodFilter) -> MethodRouter,
}

/// A function that can be stored in a table for a handler that cannot.
macro_rules! route {
    ($verb:ident $path:literal $access:expr, $handler:path) => {
        Route { verb: Verb::$verb, path: $path, access: $access, serve: |filter| served(filter, $handler) }
    };
}

fn served<H: Handler<T, ()>, T: 'static>(filter: MethodFilter, handler: H) -> MethodRouter {
    on(filter, handler)
}

/// Every route of the pages and of the JSON API. The push routes of the collector are merged beside them.
pub const TABLE: &[Route] = &[
    route!(Get "/" READ, pages::overview::page),
    route!(Get "/alerts" READ, pages::alert::queue),
    route!(Post "/alerts/next" WORK, pages::alert::take_next),
    route!(Get "/alerts/{id}" READ, pages::alert::detail),
    route!(Post "/alerts/{id}/changes" WORK, pages::alert::change),
    route!(Post "/alerts/{id}/incident" WORK, pages::alert::join),
    route!(Get "/alerts/{id}/exception" SOC, pages::exception::dialog),
    route!(Post "/alerts/{id}/exception" SOC, pages::exception::make),
    route!(Get "/exceptions" READ, pages::exception::list),
    route!(Get "/exceptions/{number}" READ, pages::exception::detail),
    route!(Post "/exceptions/{number}/changes" SOC, pages::exception::change),
    route!(Get "/risks" READ, pages::exception::risks),
    route!(Get "/incidents" READ, pages::incident::list),
    route!(Post "/incidents" WORK, pages::incident::open),
    route!(Get "/incidents/{number}" READ, pages::incident::detail),
    route!(Post "/incidents/{number}/changes" WORK, pages::incident::change),
    route!(Get "/incidents/{number}/evidence" PROVE, pages::proof::incident),
    route!(Get "/proof" READ, pages::proof::page),
    route!(Get "/proof/head.txt" READ, pages::proof::head),
    route!(Post "/proof/check" PROVE, pages::proof::check),
    route!(Get "/retention" PROVE, pages::retention::page),
    route!(Post "/retention/holds" ADMIN, pages::retention::hold),
    route!(Post "/retention/holds/{number}/changes" ADMIN, pages::retention::change),
    route!(Post "/retention/run" ADMIN, pages::retention::run),
    route!(Get "/erasures" PROVE, pages::erasure::page),
    route!(Post "/erasures/count" ADMIN, pages::erasure::count),
    route!(Post "/erasures/confirm" ADMIN, pages::erasure::confirm),
    route!(Post "/erasures/forget" ADMIN, pages::erasure::forget),
    route!(Get "/search" READ, pages::search::search),
    route!(Get "/search/parts" READ, pages::search::parts),
    route!(Get "/search/tail" READ, pages::tail::page),
    route!(Get "/search/tail/stream" READ, pages::tail::stream),
    route!(Get "/events/{id}" READ, pages::search::event),
    route!(Get "/events/{id}/around" READ, pages::search::around),
    route!(Get "/sources" READ, pages::source::list),
    route!(Get "/sources/rules" READ, pages::source::rules),
    route!(Get "/sources/new" SOC, pages::wizard::form),
    route!(Post "/sources/new" SOC, pages::wizard::sheet),
    route!(Get "/sources/new/wait" READ, pages::wizard::wait),
    route!(Get "/sources/enrollments" SOC, pages::wizard::list),
    route!(Post "/sources/enrollments/{number}/revoke" SOC, pages::wizard::revoke),
    route!(Get "/sources/{name}" READ, pages::source::detail),
    route!(Post "/sources/{name}/outage" WORK, pages::source::plan_outage),
    route!(Post "/outages/{number}/end" WORK, pages::source::end_outage),
    route!(Get "/rules" READ, pages::rule::list),
    route!(Post "/rules/reload" ADMIN, pages::rule::reload),
    route!(Get "/rules/{id}" READ, pages::rule::detail),
    route!(Post "/rules/{id}/changes" SOC, pages::rule::change),
    route!(Get "/rules/{id}/preview" SOC, pages::preview::page),
    route!(Post "/rules/{id}/preview" SOC, pages::preview::start),
    route!(Post "/rules/{id}/hunts" SOC, pages::preview::hunt),
    route!(Post "/hunts/{number}/cancel" SOC, pages::preview::cancel),
    route!(Get "/assets" READ, pages::reference::assets),
    route!(Post "/assets" SOC, pages::reference::import_assets),
    route!(Get "/intel" READ, pages::reference::intel),
    route!(Post "/intel" SOC, pages::reference::import_list),
    route!(Post "/intel/{list}/remove" SOC, pages::reference::remove_list),
    route!(Get "/coverage" READ, pages::coverage::page),
    route!(Get "/coverage/sources" READ, pages::matrix::page),
    route!(Get "/coverage/layer.json" READ, pages::coverage::layer),
    route!(Get "/account" READ, pages::account::page),
    route!(Post "/account/password" READ, pages::account::set_password),
    route!(Get "/live" READ, live::stream),
    route!(Post "/logout" READ, pages::sign_in::sign_out),
    route!(Get "/login" Access::Public, pages::sign_in::page),
    route!(Post "/login" Access::Public, pages::sign_in::sign_in),
    route!(Get "/setup/{token}" Access::Public, pages::sign_in::setup_page),
    route!(Post "/setup/{token}" Access::Public, pages::sign_in::set_up),
    route!(Post "/preferences" Access::Public, pages::account::set_preferences),
    route!(Get "/api/v1/search" READ, api_search::search),
    route!(Get "/api/v1/search/stream" READ, api_search::stream),
    route!(Get "/api/v1/search/top" READ, api_search::top),
    route!(Post "/api/v1/sql" READ, api_sql::post),
    route!(Get "/api/v1/tail" READ, api_search::follow),
    route!(Get "/api/v1/alerts" READ, api::alerts),
    route!(Get "/api/v1/alerts/{id}" READ, api::alert_get),
    route!(Patch "/api/v1/alerts/{id}" WORK, api::alert_patch),
    route!(Get "/api/v1/incidents" READ, api::incidents),
    route!(Post "/api/v1/incidents" WORK, api::incident_post),
    route!(Get "/api/v1/incidents/{number}" READ, api::incident_get),
    route!(Post "/api/v1/incidents/{number}/changes" WORK, api::incident_change),
    route!(Get "/api/v1/incidents/{number}/evidence" PROVE, pages::proof::incident),
    route!(Get "/api/v1/proof" READ, pages::proof::json),
    route!(Post "/api/v1/proof/check" PROVE, pages::proof::api_check),
    route!(Get "/api/v1/retention" PROVE, pages::retention::json),
    route!(Post "/api/v1/retention/holds" ADMIN, pages::retention::api_hold),
    route!(Post "/api/v1/retention/holds/{number}/changes" ADMIN, pages::retention::api_change),
    route!(Post "/api/v1/retention/run" ADMIN, pages::retention::api_run),
    route!(Get "/api/v1/erasures" PROVE, pages::erasure::json),
    route!(Post "/api/v1/erasures" ADMIN, pages::erasure::api_new),
    route!(Get "/api/v1/exceptions" READ, api_exceptions::list),
    route!(Post "/api/v1/exceptions" SOC, api_exceptions::post),
    route!(Post "/api/v1/exceptions/preview" SOC, api_exceptions::preview),
    route!(Get "/api/v1/exceptions/{number}" READ, api_exceptions::get),
    route!(Post "/api/v1/exceptions/{number}/changes" SOC, api_exceptions::change),
    route!(Get "/api/v1/risks" READ, api_exceptions::risks),
    route!(Get "/api/v1/rules" READ, api_rules::list),
    route!(Post "/api/v1/rules/reload" ADMIN, api_rules::reload),
    route!(Get "/api/v1/rules/{id}" READ, api_rules::get),
    route!(Patch "/api/v1/rules/{id}" SOC, api_rules::patch),
    route!(Get "/api/v1/rules/{id}/preview" SOC, api_preview::get),
    route!(Post "/api/v1/rules/{id}/preview" SOC, api_preview::start),
    route!(Post "/api/v1/rules/{id}/hunts" SOC, api_preview::hunt),
    route!(Post "/api/v1/hunts/{number}/cancel" SOC, api_preview::cancel),
    route!(Get "/api/v1/assets" READ, api_reference::assets),
    route!(Post "/api/v1/assets" SOC, api_reference::import_assets),
    route!(Get "/api/v1/intel" READ, api_reference::intel),
    route!(Post "/api/v1/intel/{list}" SOC, api_reference::import_list),
    route!(Post "/api/v1/intel/{list}/remove" SOC, api_reference::remove_list),
    route!(Get "/api/v1/coverage" READ, api_rules::coverage),
    route!(Get "/api/v1/coverage/sources" READ, api_rules::matrix),
    route!(Get "/api/v1/rules/{id}/sources" READ, api_rules::sources),
    route!(Get "/api/v1/sources" READ, api::sources),
    route!(Get "/api/v1/enrollments" SOC, api_enrollments::list),
    route!(Post "/api/v1/enrollments" SOC, api_enrollments::post),
    route!(Post "/api/v1/enrollments/{number}/revoke" SOC, api_enrollments::revoke),
    route!(Get "/api/v1/refused-senders" SOC, api_enrollments::refused),
    route!(Get "/api/v1/sources/rules" READ, api_rules::of_source),
    route!(Get "/api/v1/sources/{name}/hours" READ, api::source_hours),
    route!(Post "/api/v1/reload" ADMIN, api::reload),
    route!(Get "/api/v1/outages" READ, api::outages),
    route!(Post "/api/v1/outages" WORK, api::outage_post),
    route!(Post "/api/v1/outages/{number}/end" WORK, api::outage_end),
    route!(Get "/api/v1/openapi.json" Access::Public, api::describe),
];

/// Routes of the machine itself: no viewer, no language, no unit's data.
pub const MACHINE_PATHS: &[&str] = &["/healthz", "/readyz", "/metrics"];

/// The router over this desk. Serve it with `into_make_service_with_connect_info::<SocketAddr>()`, so that
/// the brake on guessing knows addresses.
pub fn router(desk: Arc<dyn Desk>, config: UiConfig) -> Router {
    router_of(Arc::new(State::new(desk, config)))
}

pub(crate) fn router_of(state: Arc<State>) -> Router {
    let mut router = Router::new()
        .route("/healthz", axum::routing::get(api::healthy))
        .route("/readyz", axum::routing::get(api::ready))
        .route("/metrics", axum::routing::get(api::metrics))
        .route("/static/{name}", axum::routing::get(assets::file));
    for route in TABLE {
        let filter = match route.verb {
            Verb::Get => MethodFilter::GET,
            Verb::Post => MethodFilter::POST,
            Verb::Patch => MethodFilter::PATCH,
        };
        let access = route.access;
        let guarded = (route.serve)(filter)
            .route_layer(middleware::from_fn(move |request, next| guard::route(access, request, next)));
        router = router.route(route.path, guarded);
    }
    let outer_state = Arc::clone(&state);
    router
        .fallback(pages::error::not_found)
        .layer(middleware::from_fn(move |request, next| guard::outer(Arc::clone(&outer_state), request, next)))
        .layer(Extension(state))
}
