// SPDX-License-Identifier: Apache-2.0
//
// RecordBatch+Validate.swift
// Decides whether a batch may enter the log (validate) or is still what was stored (verify).

internal import Model
internal import NIOCore

extension RecordBatch {
    /// Compares the checksum in the header with that of the bytes.
    public func verifyChecksum() throws(RecordError) {
        let span = bytes.readableBytesSpan
        let computed = CRC32C.checksum(span.extracting(RecordBatchHeader.checkedBytesStart..<span.byteCount))
        guard computed == header.crc else { throw .checksumMismatch(stored: header.crc, computed: computed) }
    }

    /// Checks a batch that a client produced against everything that Kafka demands.
    ///
    /// Take it from the request with ``produced(in:)``, which checks that there is exactly one. Only the base offset's
    /// zero and the leader epoch, which the broker overwrites, are outside the checksum.
    ///
    /// - Cost: one pass for the checksum, about 10 ns a record for the framing; no allocation unless it decompresses.
    /// - Throws: ``RecordError``, whose ``RecordError/category-swift.property`` is the Kafka error.
    public func validate(
        _ rules: ProduceRules, context: CompressionContext
    ) throws(RecordError) -> RecordBatchSummary {
        guard totalBytes <= rules.batchBytesMax else {
            throw .batchTooLarge(bytes: totalBytes, limit: rules.batchBytesMax)
        }
        try verifyChecksum()
        try checkProducedHeader(rules)
        let looksInside = isCompressed ? rules.depth == .deep || rules.requiresKeys : rules.depth >= .framing
        guard looksInside || rules.requiresKeys else {
            try checkClaimedTimestamps(rules)
            return claimedSummary
        }
        let header = header
        return try withPayload(context: context, maxBytes: rules.decompressedBytesMax) { bytes throws(RecordError) in
            try RecordWalk(header: header, rules: rules, isProduced: true).run(bytes)
        }
    }

    /// Checks a batch that comes from a log: offsets may have gaps, control batches and broker times are in order.
    ///
    /// - Parameter depth: as for ``validate(_:context:)``.
    public func verify(
        depth: ValidationDepth = .framing, context: CompressionContext,
        maxBytes: Int = RecordBatch.decompressedBytesMax
    ) throws(RecordError) -> RecordBatchSummary {
        try verifyChecksum()
        let span = Int64(header.lastOffsetDelta) + 1
        guard header.recordCount >= 0, header.lastOffsetDelta >= 0, Int64(header.recordCount) <= span else {
            throw .invalidHeader(.recordCount(header.recordCount, lastOffsetDelta: header.lastOffsetDelta))
        }
        guard depth == .deep || (depth == .framing && !isCompressed) else { return claimedSummary }
        let header = header
        return try withPayload(context: context, maxBytes: maxBytes) { bytes throws(RecordError) in
            try RecordWalk(header: header, rules: ProduceRules(), isProduced: false).run(bytes)
        }
    }

    private func checkProducedHeader(_ rules: ProduceRules) throws(RecordError) {
        guard header.baseOffset == .zero else { throw .invalidHeader(.baseOffset(header.baseOffset.rawValue)) }
        guard !isControl else { throw .invalidHeader(.controlBatch) }
        guard !header.attributes.hasDeleteHorizon else { throw .invalidHeader(.deleteHorizon) }
        guard header.attributes.unknownBits == 0 else {
            throw .invalidHeader(.unknownAttributes(header.attributes.unknownBits))
        }
        guard codec != .zstd || rules.allowsZstd else { throw .codecNotAllowed(.zstd) }
        guard timestampType == .createTime else { throw .invalidTimestamp(index: nil, .logAppendTimeByClient) }
        guard header.recordCount > 0, Int64(header.recordCount) == Int64(header.lastOffsetDelta) + 1 else {
            throw .invalidHeader(.recordCount(header.recordCount, lastOffsetDelta: header.lastOffsetDelta))
        }
        // Without a producer id, clients disagree on what epoch and sequence hold, and nobody reads them.
        let isConsistent =
            hasProducer
            ? header.producerEpoch >= 0 && header.baseSequence >= 0
            : header.producerID == .none && !isTransactional
        guard isConsistent else {
            throw .invalidHeader(
                .producer(
                    id: header.producerID.rawValue, epoch: header.producerEpoch, sequence: header.baseSequence))
        }
    }

    /// The header's claims stand for the records that nobody looks at.
    private func checkClaimedTimestamps(_ rules: ProduceRules) throws(RecordError) {
        guard let bounds = rules.timestampBounds else { return }
        if let fault = bounds.fault(of: header.baseTimestamp) { throw .invalidTimestamp(index: nil, fault) }
        if let fault = bounds.fault(of: header.maxTimestamp) { throw .invalidTimestamp(index: nil, fault) }
    }

    private var claimedSummary: RecordBatchSummary {
        RecordBatchSummary(
            recordCount: recordCount, maxTimestamp: header.maxTimestamp,
            maxTimestampOffsetDelta: header.lastOffsetDelta, checkedRecords: false,
            recordBytes: totalBytes - RecordBatchHeader.byteCount, needsMaxTimestampCorrection: false)
    }
}

/// One pass over all records of a batch.
private struct RecordWalk {
    let header: RecordBatchHeader
    let rules: ProduceRules
    /// Whether offset deltas must be 0, 1, 2 and so on.
    let isProduced: Bool

    func run(_ bytes: RawSpan) throws(RecordError) -> RecordBatchSummary {
        var scanner = RecordScanner(header: header)
        var largestDelta = Int64.min
        var largestAt = header.lastOffsetDelta
        while let fields = try scanner.next(bytes) {
            let index = scanner.index - 1
            if isProduced {
                guard Int(fields.offsetDelta) == index else {
                    throw .malformedRecord(index: index, .offsetDelta(fields.offsetDelta))
                }
                if rules.requiresKeys, fields.keyLength < 0 { throw .missingKey(index: index) }
                try checkTimestamp(of: fields, index: index)
            }
            if fields.timestampDelta > largestDelta {
                largestDelta = fields.timestampDelta
                largestAt = fields.offsetDelta
            }
        }
        return summary(largestDelta: largestDelta, largestAt: largestAt, recordBytes: bytes.byteCount)
    }

    @inline(__always)
    private func checkTimestamp(of fields: RecordFields, index: Int) throws(RecordError) {
        let (timestamp, overflow) = header.baseTimestamp.addingReportingOverflow(fields.timestampDelta)
        guard !overflow else { throw .invalidTimestamp(index: index, .overflow) }
        guard let fault = rules.timestampBounds?.fault(of: timestamp) else { return }
        throw .invalidTimestamp(index: index, fault)
    }

    private func summary(largestDelta: Int64, largestAt: Int32, recordBytes: Int) -> RecordBatchSummary {
        // A batch of broker time has one time for all, and an empty batch keeps what its header says.
        let keepsHeader = header.attributes.timestampType == .logAppendTime || header.recordCount == 0
        let largest = keepsHeader ? header.maxTimestamp : header.baseTimestamp &+ largestDelta
        return RecordBatchSummary(
            recordCount: Int(header.recordCount), maxTimestamp: largest,
            maxTimestampOffsetDelta: header.attributes.timestampType == .logAppendTime ? 0 : largestAt,
            checkedRecords: true, recordBytes: recordBytes, needsMaxTimestampCorrection: largest != header.maxTimestamp)
    }
}
