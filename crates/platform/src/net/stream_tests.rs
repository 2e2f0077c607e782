//! Tests of the stream in clear: lines, limits, deadlines, and that an idle stream holds no buffer.

use super::*;
use std::time::Duration;
use tokio::net::TcpListener;

async fn pair() -> (Stream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let (socket, _) = listener.accept().await.unwrap();
    (Stream::new(socket).unwrap(), peer)
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(5))
}

fn shortly() -> Deadline {
    Deadline::after(Duration::from_millis(200))
}

#[tokio::test]
async fn pipelined_lines_come_from_one_read() {
    let (mut stream, mut peer) = pair().await;
    peer.write_all(b"ONE\r\nTWO\nTHR").await.unwrap();
    let one = stream.read_line(100, soon()).await.unwrap();
    assert_eq!(
        (one.content_bytes, one.ending),
        (3, crate::net::LineEnding::CrLf)
    );
    stream.consume(one.total_bytes);
    assert_eq!(stream.buffer(), b"TWO\nTHR");
    let two = stream.read_line(100, soon()).await.unwrap();
    assert_eq!(
        (two.content_bytes, two.ending),
        (3, crate::net::LineEnding::BareLf)
    );
    stream.consume(two.total_bytes);
    peer.write_all(b"EE\r\n").await.unwrap();
    let three = stream.read_line(100, soon()).await.unwrap();
    assert_eq!(&stream.buffer()[..three.content_bytes], b"THREE");
    stream.consume(1_000_000);
    assert_eq!(stream.buffer(), b"");
}

#[tokio::test]
async fn an_overlong_line_is_refused_and_skipped() {
    let (mut stream, mut peer) = pair().await;
    let long = [b'x'; 5_000];
    peer.write_all(&long).await.unwrap();
    peer.write_all(b"\r\nNOOP\r\n").await.unwrap();
    let refused = stream.read_line(1_000, soon()).await.unwrap_err();
    assert!(matches!(
        refused,
        StreamError::LineTooLong {
            line_bytes_max: 1_000
        }
    ));
    assert_eq!(stream.discard_line(100_000, soon()).await.unwrap(), 5_002);
    let line = stream.read_line(6, soon()).await.unwrap();
    assert_eq!(&stream.buffer()[..line.content_bytes], b"NOOP");
    assert!(stream.read_line(5, soon()).await.is_err());
    stream.consume(line.total_bytes);

    peer.write_all(&long).await.unwrap();
    let endless = stream.discard_line(4_000, soon()).await.unwrap_err();
    assert!(matches!(endless, StreamError::LineTooLong { .. }));
}

/// One byte now and then must not keep a session for ever.
#[tokio::test]
async fn a_line_byte_by_byte_meets_its_deadline() {
    let (mut stream, mut peer) = pair().await;
    let drip = tokio::spawn(async move {
        while peer.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let slow = stream.read_line(10_000, shortly()).await.unwrap_err();
    assert!(matches!(slow, StreamError::TimedOut));
    drop(stream);
    drip.await.unwrap();
}

#[tokio::test]
async fn a_peer_that_does_not_read_meets_the_deadline_in_bounded_memory() {
    let (mut stream, _peer) = pair().await;
    let body = vec![b'x'; 50_000_000];
    let stuck = stream.send(&body, shortly()).await.unwrap_err();
    assert!(matches!(stuck, StreamError::TimedOut));
    assert!(stream.pending_bytes() <= GATHER_BYTES_MAX);
}

#[tokio::test]
async fn a_peer_that_floods_is_held_back() {
    let (mut stream, mut peer) = pair().await;
    let flood = tokio::spawn(async move {
        let block = [b'x'; 100_000];
        while peer.write_all(&block).await.is_ok() {}
    });
    let full = loop {
        if let Err(e) = stream.fill(soon()).await {
            break e;
        }
    };
    assert!(matches!(full, StreamError::BufferFull));
    assert!(stream.buffer().len() <= BUFFER_BYTES_MAX + READ_BYTES_MAX * 2);
    drop(stream);
    flood.await.unwrap();
}

#[tokio::test]
async fn an_idle_stream_holds_no_buffer() {
    let (mut stream, mut peer) = pair().await;
    peer.write_all(b"NOOP\r\n").await.unwrap();
    let line = stream.read_line(100, soon()).await.unwrap();
    stream.consume(line.total_bytes);
    stream.write(b"250 OK\r\n");
    stream.flush(soon()).await.unwrap();
    for kind in ["fill", "wait"] {
        let waited = match kind {
            "fill" => stream.fill(shortly()).await.map(|_| ()),
            _ => stream.wait_readable(shortly()).await,
        };
        assert!(matches!(waited, Err(StreamError::TimedOut)));
        let held = stream.input.capacity() + stream.gathered.capacity() + stream.wire.capacity();
        assert_eq!(held, 0, "{kind}");
    }
    peer.write_all(b"DONE\r\n").await.unwrap();
    stream.wait_readable(soon()).await.unwrap();
    assert_eq!(stream.fill(soon()).await.unwrap(), 6);
}

#[tokio::test]
async fn replies_are_gathered_and_a_dropped_wait_loses_nothing() {
    let (mut stream, mut peer) = pair().await;
    stream.write(b"250-one\r\n");
    stream.output().extend_from_slice(b"250 two\r\n");
    assert_eq!(stream.pending_bytes(), 18);
    tokio::select! {
        _ = stream.fill(soon()) => panic!("nothing was sent"),
        () = tokio::time::sleep(Duration::from_millis(20)) => {}
    }
    stream.flush(soon()).await.unwrap();
    let mut answer = [0; 18];
    peer.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"250-one\r\n250 two\r\n");
    drop(peer);
    assert!(matches!(
        stream.fill(soon()).await,
        Err(StreamError::Closed)
    ));
}

#[test]
fn an_idle_stream_is_small() {
    assert!(
        std::mem::size_of::<Stream>() <= 320,
        "{}",
        std::mem::size_of::<Stream>()
    );
}
