// SPDX-License-Identifier: Apache-2.0
//
// BatchController.swift
// Decides when a partition's open frame is closed. Pure: it sees sizes, counts and instants, never a buffer or a timer.

package import Model

/// The adaptive batcher's rule for one partition.
///
/// The append in flight is the linger: while nothing is in flight a frame closes at the end of the event-loop turn that
/// opened it, otherwise it grows until an append completes or it is full. The target size falls by 20 % when the mean
/// append latency of a window is above 100 ms and rises by 20 % below 50 ms, so that a slow disk gets frames it can
/// finish in time and a fast one gets large frames.
///
/// Invariant: `targetBytesMin <= targetBytes <= limits.bytesMax`; `inFlight <= limits.framesInFlightMax`.
package struct BatchController: Sendable {
    /// What bounds a frame and the frames in flight.
    package struct Limits: Sendable, Equatable {
        /// The largest payload of a frame, in bytes before compression; one larger batch still passes, alone.
        package var bytesMax: Int
        /// The most batches in one frame.
        package var batchesMax: Int
        /// The longest an open frame waits while another is in flight, in nanoseconds.
        package var waitMax: UInt64
        /// The most frames of one partition between close and flush.
        package var framesInFlightMax: Int

        package init(bytesMax: Int, batchesMax: Int, waitMax: UInt64, framesInFlightMax: Int = 16) {
            self.bytesMax = bytesMax
            self.batchesMax = batchesMax
            self.waitMax = waitMax
            self.framesInFlightMax = framesInFlightMax
        }
    }

    /// What to do with the open frame.
    package enum Decision: Equatable, Sendable {
        /// Close it and append it now.
        case close
        /// Keep it open; an append's completion or more batches will ask again.
        case hold
        /// Keep it open, and ask again at the instant if nothing else asked before.
        case holdUntil(Instant)
    }

    /// The smallest target: below it a frame's header and pointer cost more than they save.
    package static let targetBytesMin = 16 << 10
    /// Appends whose mean latency decides one step of the target.
    package static let windowAppends = 16
    private static let slowNanoseconds: UInt64 = 100_000_000
    private static let fastNanoseconds: UInt64 = 50_000_000

    package let limits: Limits
    package private(set) var targetBytes: Int
    package private(set) var inFlight = 0
    private var windowCount = 0
    private var windowNanoseconds: UInt64 = 0

    package init(limits: Limits) {
        self.limits = limits
        self.targetBytes = limits.bytesMax
    }

    /// Decides for an open frame of `bytes` in `batches`, opened at `openedAt`.
    package func decide(bytes: Int, batches: Int, openedAt: Instant, now: Instant) -> Decision {
        precondition(batches > 0, "an open frame holds at least one batch")
        if inFlight == 0 { return .close }
        if inFlight >= limits.framesInFlightMax { return .hold }
        // One more batch like these would not fit: nothing is gained by waiting for it.
        if bytes + bytes / batches > targetBytes || batches >= limits.batchesMax { return .close }
        if now.nanoseconds(since: openedAt) >= limits.waitMax { return .close }
        return .holdUntil(Instant(nanoseconds: openedAt.nanoseconds + limits.waitMax))
    }

    /// A frame was closed and appended.
    package mutating func appended() {
        inFlight += 1
    }

    /// A frame became durable `nanoseconds` after it was appended.
    package mutating func completed(nanoseconds: UInt64) {
        precondition(inFlight > 0, "a completion without an append in flight")
        inFlight -= 1
        windowCount += 1
        windowNanoseconds &+= nanoseconds
        guard windowCount == Self.windowAppends else { return }
        adapt(meanNanoseconds: windowNanoseconds / UInt64(windowCount))
        windowCount = 0
        windowNanoseconds = 0
    }

    private mutating func adapt(meanNanoseconds mean: UInt64) {
        if mean > Self.slowNanoseconds {
            targetBytes = max(Self.targetBytesMin, targetBytes - targetBytes / 5)
        } else if mean < Self.fastNanoseconds {
            targetBytes = min(limits.bytesMax, targetBytes + targetBytes / 5)
        }
    }
}
