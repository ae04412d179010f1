//! The small HTTP server beside the node: `/metrics`, `/healthz`, `/readyz`.
//!
//! **Architecture invariant:** it serves three pages by GET and changes nothing. It speaks plain
//! HTTP, so it belongs on loopback or a network of machines.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::metrics::{Metrics, Node};

/// A server that is bound and not yet serving.
#[derive(Debug)]
pub struct HttpServer {
    listener: TcpListener,
}

struct Pages {
    node: Arc<dyn Node>,
    metrics: Metrics,
}

impl HttpServer {
    /// Binds the address; port 0 takes any free one.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        Ok(Self { listener: TcpListener::bind(address).await? })
    }

    /// Where it listens.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `shutdown` is done.
    pub async fn run(self, node: Arc<dyn Node>, shutdown: impl Future<Output = ()>) {
        let pages = Arc::new(Pages { metrics: Metrics::new(Arc::clone(&node)), node });
        let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            let accepted = tokio::select! {
                () = &mut shutdown => return,
                accepted = self.listener.accept() => accepted,
            };
            let (Ok((stream, _)), Ok(permit)) = (accepted, Arc::clone(&room).try_acquire_owned())
            else {
                continue; // The scraper comes back.
            };
            let pages = Arc::clone(&pages);
            tokio::spawn(async move {
                let _room = permit;
                serve(stream, pages).await;
            });
        }
    }
}

impl Pages {
    fn answer(&self, request: &Request<Incoming>) -> Response<String> {
        if request.method() != Method::GET {
            return page(StatusCode::METHOD_NOT_ALLOWED, "use GET\n".to_owned());
        }
        match request.uri().path() {
            "/metrics" => {
                let mut response = page(StatusCode::OK, self.metrics.render());
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(OPEN_METRICS));
                response
            }
            "/healthz" => verdict(self.node.health()),
            "/readyz" => verdict(self.node.readiness()),
            _ => page(StatusCode::NOT_FOUND, "try /metrics, /healthz or /readyz\n".to_owned()),
        }
    }
}

async fn serve(stream: TcpStream, pages: Arc<Pages>) {
    let answer = service_fn(move |request: Request<Incoming>| {
        let response = pages.answer(&request);
        async move { Ok::<_, Infallible>(response) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME_MAX)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), answer)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a metrics connection ended early");
    }
}

fn verdict(state: Result<(), String>) -> Response<String> {
    match state {
        Ok(()) => page(StatusCode::OK, "ok\n".to_owned()),
        Err(reason) => page(StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
    }
}

fn page(status: StatusCode, text: String) -> Response<String> {
    let mut response = Response::new(text);
    *response.status_mut() = status;
    response
}

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A scraper, two probes, and room for a person with curl.
const CONNECTIONS_MAX: usize = 16;

/// A scraper sends its header at once.
const HEADER_TIME_MAX: Duration = Duration::from_secs(5);

/// The least that hyper takes; three short paths need no more.
const HEADER_BYTES_MAX: usize = 8 * 1_024;
