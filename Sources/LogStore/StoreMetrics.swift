// SPDX-License-Identifier: Apache-2.0
//
// StoreMetrics.swift
// Everything the store counts.

internal import Model
public import Telemetry

/// The metrics of one store.
public struct StoreMetrics: Sendable {
    /// Journal blocks that were made durable.
    public let journalFlushes: Counter
    /// Segment files that were flushed, by the direct way and by checkpoints.
    public let segmentFlushes: Counter
    /// Bytes written to the journal, padding included.
    public let journalBytes: Counter
    /// Bytes written to segments.
    public let segmentBytes: Counter
    /// Frames per round, in a histogram.
    public let roundFrames: Histogram
    /// From the start of a round to its durability.
    public let flushLatency: LatencyHistogram
    /// Duration of checkpoints.
    public let checkpointLatency: LatencyHistogram
    /// Bytes that were appended and are not durable yet.
    public let pendingBytes: Gauge
    /// Frames that wait for the codec thread.
    public let codecQueue: Gauge
    /// Reads from memory.
    public let tailHits: Counter
    /// Reads that needed the reader threads.
    public let coldReads: Counter
    /// Bytes that the reader threads read from segments.
    public let readBytes: Counter
    /// Frames that were found in the read cache.
    public let readCacheHits: Counter
    /// Bytes of payload before frame compression.
    public let codecBytesIn: Counter
    /// Bytes of payload after frame compression.
    public let codecBytesOut: Counter
    /// Free bytes of the disk, as of the last sample.
    public let diskFree: Gauge
    /// 1 while data is refused because the disk reserve is reached.
    public let diskReserveReached: Gauge
    /// Bytes held in the ballast file.
    public let ballastBytes: Gauge
    /// Bytes in the journal that wait for room in their segments.
    public let deferredBytes: Gauge
    /// Segment files deleted or recycled.
    public let segmentsDeleted: Counter

    /// Passes of compaction that ended.
    public let compactions: Counter
    /// Logs that wait for a pass.
    public let compactionsWaiting: Gauge
    /// Bytes that compaction has moved: what it read, twice where it looked for keys, and what it wrote.
    public let compactionBytes: Counter
    /// Bytes of compacted segments that were written.
    public let compactionBytesWritten: Counter
    /// Segments that compacted ones took the place of.
    public let compactedSegments: Counter
    /// Records that compaction removed.
    public let compactedRecords: Counter
    /// Duration of passes.
    public let compactionLatency: LatencyHistogram

    /// Registers the metrics; without a registry they count for themselves.
    public init(_ registry: MetricRegistry? = nil) {
        func counter(_ name: String, _ help: String, _ labels: KeyValuePairs<String, String> = [:]) -> Counter {
            registry?.counter("goulette_store_" + name, help: help, labels: labels) ?? Counter()
        }
        func gauge(_ name: String, _ help: String) -> Gauge {
            registry?.gauge("goulette_store_" + name, help: help) ?? Gauge()
        }
        func latency(_ name: String, _ help: String) -> LatencyHistogram {
            registry?.latency("goulette_store_" + name, help: help) ?? LatencyHistogram()
        }
        let flushes = "Flushes to stable storage, by the file that was flushed."
        journalFlushes = counter("flushes_total", flushes, ["path": "journal"])
        segmentFlushes = counter("flushes_total", flushes, ["path": "segment"])
        let written = "Bytes written, by the file they went to."
        journalBytes = counter("written_bytes_total", written, ["path": "journal"])
        segmentBytes = counter("written_bytes_total", written, ["path": "segment"])
        let bounds: [UInt64] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 1024, 4096]
        roundFrames =
            registry?.histogram("goulette_store_round_frames", help: "Frames that shared one flush.", bounds: bounds)
            ?? Histogram(bounds: bounds)
        flushLatency = latency("flush_seconds", "Time from the start of a flush round until it is durable.")
        checkpointLatency = latency("checkpoint_seconds", "Time of a checkpoint.")
        pendingBytes = gauge("pending_bytes", "Bytes that were appended and are not durable yet.")
        codecQueue = gauge("codec_queue_frames", "Frames that wait for compression.")
        let reads = "Reads, by where the bytes were found."
        tailHits = counter("reads_total", reads, ["source": "memory"])
        coldReads = counter("reads_total", reads, ["source": "disk"])
        readBytes = counter("read_bytes_total", "Bytes read from segments.")
        readCacheHits = counter("read_cache_hits_total", "Frames that a disk read found in the read cache.")
        codecBytesIn = counter("codec_input_bytes_total", "Payload bytes given to frame compression.")
        codecBytesOut = counter("codec_output_bytes_total", "Payload bytes after frame compression.")
        diskFree = gauge("disk_free_bytes", "Free bytes of the data directory's disk.")
        diskReserveReached = gauge(
            "disk_reserve_reached", "1 while data is refused because the disk reserve is reached.")
        ballastBytes = gauge(
            "ballast_bytes", "Bytes held in a file, to be let go when the disk is full; 0 when they were.")
        deferredBytes = gauge("deferred_bytes", "Bytes in the journal that wait for room in their segments.")
        segmentsDeleted = counter("segments_deleted_total", "Segment files deleted or recycled.")
        compactions = counter("compactions_total", "Passes of key compaction that ended.")
        compactionsWaiting = gauge("compactions_waiting", "Partitions that wait for a pass of key compaction.")
        compactionBytes = counter("compaction_bytes_total", "Bytes that key compaction read and wrote.")
        compactionBytesWritten = counter(
            "compaction_written_bytes_total", "Bytes of compacted segments that were written.")
        compactedSegments = counter(
            "compacted_segments_total", "Segments that compacted ones took the place of.")
        compactedRecords = counter("compacted_records_total", "Records that key compaction removed.")
        compactionLatency = latency("compaction_seconds", "Time of a pass of key compaction.")
    }
}
