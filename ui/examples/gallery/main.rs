//! The pages over sample data on loopback, for looking at them without a store.
//!
//! `cargo run -p nhatle-ui --example gallery [ADDRESS]`, then sign in as `an.nguyen` (analyst), `bao-ninh`
//! (ward) or `kiem-tra` (auditor) with the password `nhat le nhat le`.

use std::net::SocketAddr;
use std::sync::Arc;

use nhatle_event::{Clock, Timestamp};
use nhatle_ui::{Role, UiConfig};

mod fake;

/// The samples' own moment, so that pages always look the same.
struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        fake::NOW
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8090".to_owned());
    let hash = nhatle_ui::session::hash_password("nhat le nhat le")?;
    let desk = fake::FakeDesk::new(["", ""])
        .with_account("an.nguyen", "Nguyễn Thị An", Role::Analyst, None, &hash)
        .with_account("bao-ninh", "Trần Văn Bảo", Role::Ward, Some(fake::UNITS[0]), &hash)
        .with_account("kiem-tra", "Lê Minh Kiểm", Role::Auditor, None, &hash)
        .with_token("an.nguyen", "gallery")
        .with_setup("first");
    let config =
        UiConfig {
            organization: "UBND thành phố Đồng Hới".to_owned(), clock: Arc::new(Fixed), ..UiConfig::default()
        };
    let router = nhatle_ui::router(Arc::new(desk), config);
    let listener = tokio::net::TcpListener::bind(&address).await?;
    axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}
