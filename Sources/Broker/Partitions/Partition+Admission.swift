// SPDX-License-Identifier: Apache-2.0
//
// Partition+Admission.swift
// The way of a batch from the request to the open frame. Batches that must be unpacked are checked elsewhere, and those
// that come after them wait, so that a partition takes its batches in the order they came.

import DequeModule
import KafkaProtocol
import Model
import NIOCore
package import Records
import Settings
import Telemetry

/// A batch that waits for its check, or for those before it.
struct Admission {
    let call: ProduceCall
    var verdict: Result<CheckedBatch, RecordError>?
}

/// The batches of one partition between arrival and admission.
///
/// Its bytes are requests' bytes, which the limits of connections and broker bound.
struct AdmissionQueue {
    private var waiting = Deque<Admission>()
    private var first: UInt64 = 0

    var isEmpty: Bool { waiting.isEmpty }

    /// Adds a call; its number stands for it until it is taken.
    mutating func append(_ admission: Admission) -> UInt64 {
        waiting.append(admission)
        return first + UInt64(waiting.count - 1)
    }

    /// Notes a verdict; one about a call that was dropped is ignored.
    mutating func set(_ verdict: Result<CheckedBatch, RecordError>, of number: UInt64) {
        guard number >= first, number < first + UInt64(waiting.count) else { return }
        waiting[Int(number - first)].verdict = verdict
    }

    /// The next call, when its check is done.
    mutating func next() -> (ProduceCall, Result<CheckedBatch, RecordError>)? {
        guard let verdict = waiting.first?.verdict, let admission = waiting.popFirst() else { return nil }
        first += 1
        return (admission.call, verdict)
    }

    /// Drops all calls.
    mutating func removeAll() -> [ProduceCall] {
        let calls = waiting.map(\.call)
        first += UInt64(waiting.count)
        waiting.removeAll()
        return calls
    }
}

extension Partition {
    /// Validates a batch and adds it to the open frame.
    ///
    /// The outcome reaches `call.request` once: after commit, or with `acks` 0 and 1 after the local flush when that comes
    /// first.
    ///
    /// - Cost: one pass over the batch for its checksum and records; one copy into the frame, unless it is large (``OpenFrame``).
    ///   A compressed batch of ``BatchValidator/bytesMin`` and more costs two hops to another thread instead of the pass.
    package func produce(_ call: ProduceCall, context: CompressionContext) {
        if let refusal = refusal(of: call) { return call.request.complete(call.slot, .failure(refusal)) }
        let check = BatchCheck(
            records: call.records, rules: rules(for: call), targetCodec: configuration.compression.targetCodec)
        guard environment.validator.isAvailable, check.isLong else {
            let verdict = check.run(context)
            if admissions.isEmpty { return admit(call, verdict) }
            _ = admissions.append(Admission(call: call, verdict: verdict))
            return
        }
        let number = admissions.append(Admission(call: call))
        let home = NIOLoopBound(WeakPartition(self), eventLoop: environment.loop)
        let loop = environment.loop
        environment.validator.check(check, of: handle.group) { verdict in
            loop.execute { home.value.partition?.checked(number, verdict) }
        }
    }

    private func checked(_ number: UInt64, _ verdict: Result<CheckedBatch, RecordError>) {
        admissions.set(verdict, of: number)
        while let (call, verdict) = admissions.next() {
            // Much may have happened while the batch was away.
            if let refusal = refusal(of: call) {
                call.request.complete(call.slot, .failure(refusal))
            } else {
                admit(call, verdict)
            }
        }
    }

    /// Why a call is refused whatever its batch is like.
    func refusal(of call: ProduceCall) -> KafkaErrorCode? {
        if let refusal = produceRefusal { return refusal }
        guard call.acks >= -1, call.acks <= 1 else { return .invalidRequiredAcks }
        return call.acks == -1 && configuration.minInsyncReplicas > inSync.count ? .notEnoughReplicas : nil
    }

    private func rules(for call: ProduceCall) -> ProduceRules {
        var rules = ProduceRules()
        rules.depth = .deep
        rules.batchBytesMax = configuration.maxMessageBytes
        rules.allowsZstd = call.version >= 7
        rules.requiresKeys = configuration.cleanup.compacts
        if configuration.timestampType == .createTime {
            rules.timestampBounds = TimestampBounds(
                now: call.wallTime, beforeMaxMilliseconds: configuration.timestampBeforeMaxMilliseconds,
                afterMaxMilliseconds: configuration.timestampAfterMaxMilliseconds)
        }
        return rules
    }

    private func admit(_ call: ProduceCall, _ verdict: Result<CheckedBatch, RecordError>) {
        switch verdict {
        case .failure(let error):
            environment.metrics.batchesRejected.increment()
            call.request.complete(call.slot, ErrorMapping.outcome(of: error))
        case .success(let checked):
            if checked.batch.hasProducer {
                if isVerifying(checked, call) { return }
                if !admitProducer(of: checked, call) { return }
            }
            append(checked.batch, summary: checked.summary, call: call)
        }
    }
}

/// Lets a partition go while a check of it is under way.
struct WeakPartition {
    weak var partition: Partition?

    init(_ partition: Partition) { self.partition = partition }
}
