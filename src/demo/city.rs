//! The demo's city: its organization units and its hosts. In: nothing. Out: two tables that never change.
//!
//! The units are those of the city of Đồng Hới in 2021: city hall, nine phường and six xã. Names and
//! codes are public (General Statistics Office list of administrative units; `docs` of issue 1). Hosts,
//! people and addresses are invented; outside addresses are the documentation blocks of RFC 5737.

/// What kind of unit it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitKind {
    /// The city's own offices (UBND thành phố).
    CityHall,
    /// A phường (urban ward).
    Ward,
    /// A xã (commune).
    Commune,
}

/// One organization unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Its code, as records carry it in `nhatle.unit`.
    pub code: &'static str,
    /// Its name on screen, in Vietnamese.
    pub name: &'static str,
    /// What kind of unit it is.
    pub kind: UnitKind,
    /// Code of the unit it belongs to; empty for city hall.
    pub parent: &'static str,
}

/// What runs on a host, hence how its records look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    /// A Linux server; rsyslog sends RFC 5424.
    Linux,
    /// A Linux device or an old server; it sends the older RFC 3164 form.
    LinuxOld,
    /// A Windows server; an agent sends JSON lines.
    WindowsServer,
    /// A Windows PC; an agent sends JSON lines.
    WindowsPc,
    /// A network video recorder; it sends RFC 3164.
    Recorder,
}

/// One host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host {
    /// The name it gives itself in its records.
    pub name: &'static str,
    /// Code of the unit it belongs to.
    pub unit: &'static str,
    /// Its address.
    pub ip: &'static str,
    /// What runs on it.
    pub system: System,
    /// Whose PC it is; empty for a server.
    pub user: &'static str,
    /// What it is for, in Vietnamese.
    pub purpose: &'static str,
}

impl Host {
    /// The name Windows events carry: with the domain.
    pub fn computer(&self) -> String {
        format!("{}.donghoi.example", self.name)
    }
}

/// Code of city hall.
pub const CITY_HALL: &str = "450";

/// The units: city hall first, then the phường, then the xã.
pub const UNITS: &[Unit] = &[
    Unit { code: CITY_HALL, name: "UBND thành phố Đồng Hới", kind: UnitKind::CityHall, parent: "" },
    ward("18853", "Phường Hải Thành"),
    ward("18856", "Phường Đồng Phú"),
    ward("18859", "Phường Bắc Lý"),
    ward("18865", "Phường Nam Lý"),
    ward("18868", "Phường Đồng Hải"),
    ward("18871", "Phường Đồng Sơn"),
    ward("18874", "Phường Phú Hải"),
    ward("18877", "Phường Bắc Nghĩa"),
    ward("18880", "Phường Đức Ninh Đông"),
    commune("18883", "Xã Quang Phú"),
    commune("18886", "Xã Lộc Ninh"),
    commune("18889", "Xã Bảo Ninh"),
    commune("18892", "Xã Nghĩa Ninh"),
    commune("18895", "Xã Thuận Đức"),
    commune("18898", "Xã Đức Ninh"),
];

const fn ward(code: &'static str, name: &'static str) -> Unit {
    Unit { code, name, kind: UnitKind::Ward, parent: CITY_HALL }
}

const fn commune(code: &'static str, name: &'static str) -> Unit {
    Unit { code, name, kind: UnitKind::Commune, parent: CITY_HALL }
}

/// The hosts of city hall, then one PC for each ward and commune.
pub const HOSTS: &[Host] = &[
    server("cong-tt-01", "10.45.10.11", System::Linux, "Cổng thông tin điện tử thành phố"),
    server("cong-tt-02", "10.45.10.12", System::Linux, "Cổng thông tin giáo dục"),
    server("vanban-01", "10.45.10.21", System::Linux, "Hệ thống quản lý văn bản"),
    server("motcua-01", "10.45.10.22", System::Linux, "Một cửa điện tử"),
    server("thu-01", "10.45.10.25", System::Linux, "Thư điện tử"),
    server("csdl-01", "10.45.20.31", System::Linux, "Cơ sở dữ liệu một cửa"),
    server("csdl-02", "10.45.20.32", System::Linux, "Cơ sở dữ liệu cổng thông tin"),
    server("saoluu-01", "10.45.20.41", System::Linux, "Sao lưu"),
    server("quantri-01", "10.45.0.10", System::Linux, "Máy trung gian của quản trị viên"),
    server("giamsat-01", "10.45.0.61", System::Linux, "Giám sát hạ tầng"),
    server("dns-01", "10.45.0.53", System::LinuxOld, "Phân giải tên miền"),
    server("tuonglua-01", "10.45.0.1", System::LinuxOld, "Tường lửa"),
    server("nvr-01", "10.45.60.11", System::Recorder, "Đầu ghi camera quảng trường"),
    server("nvr-02", "10.45.60.12", System::Recorder, "Đầu ghi camera trụ sở"),
    server("DC-01", "10.45.0.21", System::WindowsServer, "Máy chủ miền chính"),
    server("DC-02", "10.45.0.22", System::WindowsServer, "Máy chủ miền dự phòng"),
    server("TEP-01", "10.45.20.51", System::WindowsServer, "Máy chủ tệp"),
    server("UNGDUNG-01", "10.45.20.52", System::WindowsServer, "Máy chủ ứng dụng kế toán"),
    server("SAOLUU-WIN", "10.45.20.53", System::WindowsServer, "Sao lưu máy chủ Windows"),
    desk("VP-PC01", CITY_HALL, "10.45.1.11", "lttlan"),
    desk("VP-PC02", CITY_HALL, "10.45.1.12", "nvdung"),
    desk("VP-PC03", CITY_HALL, "10.45.1.13", "ttmai"),
    desk("VP-PC04", CITY_HALL, "10.45.1.14", "hvphuc"),
    desk("TC-PC01", CITY_HALL, "10.45.1.21", "dtthuy"),
    desk("TC-PC02", CITY_HALL, "10.45.1.22", "bqhoa"),
    desk("VH-PC01", CITY_HALL, "10.45.1.31", "ntngoc"),
    desk("MC-PC01", CITY_HALL, "10.45.1.41", "vtyen"),
    desk("HT-PC01", "18853", "10.45.101.11", "nthai"),
    desk("DP-PC01", "18856", "10.45.102.11", "tvkhanh"),
    desk("BL-PC01", "18859", "10.45.103.11", "pthanh"),
    desk("NL-PC01", "18865", "10.45.104.11", "lvtuan"),
    desk("DH-PC01", "18868", "10.45.105.11", "hthuong"),
    desk("DS-PC01", "18871", "10.45.106.11", "ndkien"),
    desk("PH-PC01", "18874", "10.45.107.11", "ttnga"),
    desk("BNG-PC01", "18877", "10.45.108.11", "dvson"),
    desk("DND-PC01", "18880", "10.45.109.11", "nthue"),
    desk("QP-PC01", "18883", "10.45.110.11", "mvcuong"),
    desk("LN-PC01", "18886", "10.45.111.11", "nttrang"),
    desk("BN-PC01", "18889", "10.45.112.11", "hvloc"),
    desk("NN-PC01", "18892", "10.45.113.11", "lthoai"),
    desk("TD-PC01", "18895", "10.45.114.11", "pvbinh"),
    desk("DN-PC01", "18898", "10.45.115.11", "ntvan"),
];

const fn server(name: &'static str, ip: &'static str, system: System, purpose: &'static str) -> Host {
    Host { name, unit: CITY_HALL, ip, system, user: "", purpose }
}

const fn desk(name: &'static str, unit: &'static str, ip: &'static str, user: &'static str) -> Host {
    Host { name, unit, ip, system: System::WindowsPc, user, purpose: "Máy tính cán bộ" }
}

/// The host of this name.
pub fn host(name: &str) -> Option<&'static Host> {
    HOSTS.iter().find(|host| host.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_city_has_city_hall_nine_wards_and_six_communes() {
        let count = |kind| UNITS.iter().filter(|unit| unit.kind == kind).count();
        let counts = (count(UnitKind::CityHall), count(UnitKind::Ward), count(UnitKind::Commune));
        assert_eq!(counts, (1, 9, 6));
        assert_eq!(UNITS.iter().map(|unit| unit.code).collect::<HashSet<_>>().len(), UNITS.len());
    }

    #[test]
    fn every_unit_has_a_host_and_no_name_or_address_comes_twice() {
        assert!(UNITS.iter().all(|unit| HOSTS.iter().any(|host| host.unit == unit.code)));
        assert!(HOSTS.iter().all(|host| UNITS.iter().any(|unit| unit.code == host.unit)));
        assert_eq!(HOSTS.iter().map(|host| host.name).collect::<HashSet<_>>().len(), HOSTS.len());
        assert_eq!(HOSTS.iter().map(|host| host.ip).collect::<HashSet<_>>().len(), HOSTS.len());
        assert!((40..=50).contains(&HOSTS.len()));
    }
}
