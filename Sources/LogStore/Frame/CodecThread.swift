// SPDX-License-Identifier: Apache-2.0
//
// CodecThread.swift
// The thread that compresses payloads, so that no event loop and no flush waits for zstd.

internal import Model
internal import NIOCore
internal import Records
internal import Synchronization
internal import Telemetry

/// A payload to compress.
struct EncodeJob: Sendable {
    let handle: GroupHandle?
    let ticket: UInt64
    let payload: ByteBuffer
    /// The checksum of `payload`, when it is known.
    let checksum: UInt32?
    let level: Int32
}

/// A payload that came back.
struct EncodedPayload: Sendable {
    let ticket: UInt64
    let codec: FrameCodec
    let payload: ByteBuffer
    let crc: UInt32
}

/// Compresses in the order of the jobs; results of one batch go back together.
struct CodecThread: ~Copyable {
    private let core: StoreCore
    private let compressor: ZstdCompressor?

    init(_ core: StoreCore) {
        self.core = core
        compressor = try? ZstdCompressor()
    }

    /// Runs until a job without a log comes.
    func run() {
        var jobs: [EncodeJob] = []
        while true {
            core.codecQueue.take(into: &jobs)
            if jobs.isEmpty { _ = core.codecQueue.wait(milliseconds: nil) }
            guard work(on: jobs) else { return }
        }
    }

    /// Does once what ``run()`` does again and again, without waiting; returns whether there was work.
    func step() -> Bool {
        var jobs: [EncodeJob] = []
        core.codecQueue.take(into: &jobs)
        _ = work(on: jobs)
        return !jobs.isEmpty
    }

    /// Returns false when the thread is to end.
    private func work(on jobs: [EncodeJob]) -> Bool {
        var deliveries = Deliveries()
        for job in jobs {
            guard let handle = job.handle else {
                deliveries.send()
                return false
            }
            deliveries.add(.encoded(Self.encode(job, compressor, core.metrics)), for: handle)
        }
        let depth = core.codecDepth.wrappingSubtract(jobs.count, ordering: .relaxed).newValue
        core.metrics.codecQueue.set(depth)
        deliveries.send()
        return true
    }

    /// Compresses one payload; what does not shrink, or fails, is stored as it is.
    static func encode(_ job: EncodeJob, _ compressor: ZstdCompressor?, _ metrics: StoreMetrics) -> EncodedPayload {
        let raw = job.payload.readableBytes
        metrics.codecBytesIn.increment(by: raw)
        var output = ByteBuffer()
        // Less than a sixteenth saved is not worth unpacking on every read.
        let limit = raw - raw / 16
        compressor?.level = job.level
        let stored = try? compressor?.compress(job.payload.readableBytesSpan, into: &output, ifWithin: limit)
        let (codec, payload): (FrameCodec, ByteBuffer) = stored == nil ? (.none, job.payload) : (.zstd, output)
        metrics.codecBytesOut.increment(by: payload.readableBytes)
        let known = codec == .none ? job.checksum : nil
        return EncodedPayload(
            ticket: job.ticket, codec: codec, payload: payload, crc: known ?? CRC32C.checksum(payload))
    }
}
