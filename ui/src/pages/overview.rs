//! `/`: what is open, what is urgent, what is silent.
//!
//! In: the desk's overview, the most urgent alerts, the open incidents. Out: the landing page.

use askama::Template;

use super::{Page, Shell, exception, html};
use crate::chart::{Bar, bars};
use crate::model::{
    AlertPage, AlertQuery, AlertStatus, IncidentPage, IncidentQuery, IncidentStatus, Layer, Level, Overview,
};
use crate::request::Asked;

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    p: Shell,
    o: Overview,
    alerts: AlertPage,
    incidents: IncidentPage,
    hours: Vec<Bar>,
    /// Exceptions that end soon.
    ending: u64,
}

impl OverviewPage {
    /// Levels from the worst, with their open alerts.
    fn levels(&self) -> Vec<(Level, u64)> {
        Level::ALL.iter().copied().zip(self.o.alerts_open).rev().collect()
    }

    fn layers(&self) -> Vec<(Layer, u64)> {
        Layer::ALL.iter().copied().zip(self.o.incidents_by_layer).collect()
    }

    fn alerts_open(&self) -> u64 {
        self.o.alerts_open.iter().sum()
    }

    fn incidents_open(&self) -> u64 {
        self.o.incidents[0] + self.o.incidents[1]
    }
}

/// `GET /`
pub(crate) async fn page(asked: Asked) -> Page {
    let alert_query =
        AlertQuery { statuses: vec![AlertStatus::New, AlertStatus::Acknowledged], limit: 8, ..AlertQuery::default() };
    let incident_query = IncidentQuery {
        statuses: vec![IncidentStatus::New, IncidentStatus::Active],
        limit: 6,
        ..IncidentQuery::default()
    };
    let (o, alerts, incidents, exceptions) = asked
        .desk(move |desk, viewer| {
            Ok((
                desk.overview(viewer)?,
                desk.alerts(viewer, &alert_query)?,
                desk.incidents(viewer, &incident_query)?,
                desk.exceptions(viewer)?,
            ))
        })
        .await?;
    let p = Shell::new(&asked, "overview", crate::locale::text(asked.language, "nav-overview")).await?;
    html(&OverviewPage { hours: bars(&o.hours), ending: exception::ending(&exceptions), p, o, alerts, incidents })
}
