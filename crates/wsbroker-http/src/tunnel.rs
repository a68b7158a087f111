//! Bytes that are passed on unread.

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Bytes of one direction of a tunnel, read and written at once.
const TUNNEL: usize = 16 << 10;

/// Copies to the end of one direction of a tunnel, and passes the end on.
pub(crate) async fn pass<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(read: &mut R, write: &mut W, count: &mut u64) {
    let mut bytes = BytesMut::with_capacity(TUNNEL);
    while let Ok(1..) = read.read_buf(&mut bytes).await {
        *count += bytes.len() as u64;
        if write.write_all(&bytes).await.is_err() || write.flush().await.is_err() {
            return;
        }
        bytes.clear();
    }
    let _ = write.shutdown().await;
}
