// SPDX-License-Identifier: Apache-2.0
//
// PendingProduce.swift
// One produce request while its partitions work on it: collects an outcome for each and answers once.

package import KafkaProtocol
package import Model
import Synchronization

/// What happened to one partition's batch.
package struct ProduceOutcome: Sendable {
    package var error: KafkaErrorCode
    /// The offset of the batch's first record; -1 with an error.
    package var baseOffset: Int64 = -1
    /// The broker's time when the topic uses it, else -1.
    package var logAppendTime: Int64 = -1
    package var logStartOffset: Int64 = -1
    /// Which records were at fault; only for record errors.
    package var recordErrors: [ProduceResponse.RecordError] = []
    /// A sentence for the user.
    package var message: String?

    /// A batch that was not stored.
    package static func failure(_ error: KafkaErrorCode, _ message: String? = nil) -> ProduceOutcome {
        ProduceOutcome(error: error, message: message)
    }
}

/// Collects the outcomes of a request's partitions, which may live on several shards.
///
/// Cost: one uncontended lock for each partition of the request.
package final class PendingProduce: Sendable {
    private struct State {
        var outcomes: [ProduceOutcome?]
        var missing: Int
    }

    private let state: Mutex<State>
    private let finish: @Sendable ([ProduceOutcome]) -> Void

    /// Waits for `count` outcomes, then calls `finish` once on the thread that brought the last one.
    package init(count: Int, finish: @escaping @Sendable ([ProduceOutcome]) -> Void) {
        precondition(count > 0, "a produce request without partitions is answered at once")
        self.state = Mutex(State(outcomes: Array(repeating: nil, count: count), missing: count))
        self.finish = finish
    }

    /// Sets the outcome of partition `slot`; the first one counts, so that a timeout and a late commit cannot clash.
    package func complete(_ slot: Int, _ outcome: ProduceOutcome) {
        let done: [ProduceOutcome]? = state.withLock { state in
            guard state.outcomes[slot] == nil else { return nil }
            state.outcomes[slot] = outcome
            state.missing -= 1
            return state.missing == 0 ? state.outcomes.compactMap { $0 } : nil
        }
        if let done { finish(done) }
    }
}

/// A partition's share of a produce request, waiting for its frame.
package struct ProduceWaiter: Sendable {
    package var request: PendingProduce
    package var slot: Int
    package var outcome: ProduceOutcome
    /// When the client stops waiting.
    package var deadline: Instant
    /// Whether the leader's own copy is enough (`acks` 0 and 1).
    package var isAnsweredAtFlush = false

    package func succeed(logStart: Offset) {
        var outcome = outcome
        outcome.logStartOffset = logStart.rawValue
        request.complete(slot, outcome)
    }

    package func fail(_ error: KafkaErrorCode, _ message: String? = nil) {
        request.complete(slot, .failure(error, message))
    }
}
