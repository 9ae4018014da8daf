// SPDX-License-Identifier: Apache-2.0
//
// PeerAnswers.swift
// The way back of a request's answer: from the handler's thread to the loop of the connection it came on.

internal import NIOCore
internal import Synchronization

/// Brings answers of handlers, from any thread, to the loop of their connection, many with one wake.
final class PeerAnswers: Sendable {
    struct Result: Sendable {
        let id: UInt64
        let result: Swift.Result<ByteBuffer, PeerCallError>
    }

    private let loop: any EventLoop
    private let results = Mutex<[Result]>([])
    private let box: NIOLoopBoundBox<PeerConnection?>

    init(loop: any EventLoop) {
        self.loop = loop
        box = NIOLoopBoundBox.makeEmptyBox(valueType: PeerConnection.self, eventLoop: loop)
    }

    /// The connection; only on the loop.
    var owner: PeerConnection? {
        get { box.value }
        set { box.value = newValue }
    }

    func post(_ id: UInt64, _ result: Swift.Result<ByteBuffer, PeerCallError>) {
        let isFirst = results.withLock {
            $0.append(Result(id: id, result: result))
            return $0.count == 1
        }
        guard isFirst else { return }
        loop.execute {
            let batch = self.results.withLock { results in
                defer { results = [] }
                return results
            }
            self.owner?.answer(batch)
        }
    }
}
