//! Which pages may open connections.

use wsbroker_core::{ListenError, ListenerConfig};

use crate::kit::*;

fn only(origins: &[&str]) -> Option<Vec<String>> {
    Some(origins.iter().map(|origin| (*origin).to_owned()).collect())
}

fn status_of(port: u16, path: &str, more: &[&str]) -> u16 {
    ask(port, handshake(path, more)).status
}

#[test]
fn a_page_of_another_origin_is_refused() {
    let broker = broker();
    let keeper = Keeper::open(&broker);
    let origins = only(&["https://a.example", "https://*.b.example:443", "null"]);
    let listener = serve(&broker, ListenerConfig { origins, ..loopback() });
    let port = listener.port();
    for good in ["https://a.example", "HTTPS://A.EXAMPLE", "https://x.y.b.example", "null"] {
        assert_eq!(status_of(port, "/", &[&format!("Origin: {good}")]), 101, "{good}");
    }
    assert_eq!(status_of(port, "/", &[]), 101, "what comes from no browser has no origin");
    let asked = keeper.requests.lock().len();
    for bad in
        ["http://a.example", "https://a.example:8443", "https://b.example", "https://a.example.evil.test", "", "x"]
    {
        let refused = ask(port, handshake("/", &[&format!("Origin: {bad}")]));
        assert_eq!(
            (refused.status, refused.body.as_str()),
            (403, "pages of this origin may not open connections here\n"),
            "{bad}"
        );
    }
    assert_eq!(status_of(port, "/", &["Origin: https://a.example", "origin: https://a.example"]), 400);
    assert_eq!(status_of(port, "/", &["Origin: https://a.example", "Origin: https://evil.test"]), 400);
    assert_eq!(keeper.requests.lock().len(), asked, "no worker was asked");
}

#[test]
fn each_listener_of_an_address_has_pages_of_its_own() {
    let broker = broker();
    let _keeper = Keeper::open(&broker);
    let one = serve(&broker, ListenerConfig { origins: only(&["https://one.example"]), ..on(0, &["/one"]) });
    let port = one.port();
    let _two = serve(&broker, ListenerConfig { origins: only(&["https://two.example"]), ..on(port, &["/two"]) });
    let _all = serve(&broker, ListenerConfig { origins: only(&["*"]), ..on(port, &["/all"]) });
    let _any = serve(&broker, on(port, &["/any"]));
    let _none = serve(&broker, ListenerConfig { origins: only(&[]), ..on(port, &["/none"]) });
    for (path, expected) in [("/one", 101), ("/two", 403), ("/all", 101), ("/any", 101), ("/none", 403)] {
        assert_eq!(status_of(port, path, &["Origin: https://one.example"]), expected, "{path}");
        assert_eq!(status_of(port, path, &[]), 101, "{path}");
    }
}

#[test]
fn a_list_that_cannot_be_meant_is_an_error_that_names_the_entry() {
    let broker = broker();
    for entry in ["a.example", "https://a.example/", "https://*", "https://b\u{fc}cher.example"] {
        let error = reserve(&broker, ListenerConfig { origins: only(&["https://good.example", entry]), ..loopback() })
            .unwrap_err();
        assert!(matches!(&error, ListenError::Origin { entry: named, .. } if named == entry), "{error}");
        assert!(error.to_string().contains(entry), "{error}");
    }
}
