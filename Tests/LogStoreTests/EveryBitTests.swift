// SPDX-License-Identifier: Apache-2.0
//
// EveryBitTests.swift
// One sealed frame, raw and compressed, in a segment and in the journal: every bit turned over, every length cut off, read by
// the code that recovery reads with. Nothing but the original ever passes for the frame (S1, S10).

import CrashScenario
import Model
import NIOCore
import Records
import Testing

@testable import LogStore

@Suite struct EveryBitTests {
    static let codecs = [FrameCodec.none, .zstd]
    static let group = LogFixture.group
    static let salt = FrameHeader.salt(group: group, base: LogIndex(1), term: Term(1))

    /// Three frames that follow each other; the second is the one that is damaged.
    struct Frames {
        let frames: [SealedFrame]
        let segment: Segment
        /// Where each begins, and the end.
        let starts: [Int]

        init(_ codec: FrameCodec) throws {
            segment = Segment(group: group, base: LogIndex(1), salt: salt, root: "/store")
            var frames: [SealedFrame] = []
            var starts = [0]
            for number in 0..<3 {
                let raw = LogFixture.batch(
                    base: Offset(Int64(number)), term: Term(1), records: 1, bytes: 233, timestamp: 7)
                var payload = raw
                if codec == .zstd {
                    let compressor = try ZstdCompressor()
                    var packed = ByteBuffer()
                    _ = try compressor.compress(raw.readableBytesSpan, into: &packed)
                    payload = packed
                }
                var header = FrameHeader(
                    kind: .data, codec: codec, flags: number == 0 ? .startsSegment : [], group: group, salt: salt,
                    term: Term(1), index: LogIndex(UInt64(number + 1)), baseOffset: Offset(Int64(number)),
                    maxTimestamp: 7, recordCount: 1, storedLength: UInt32(payload.readableBytes),
                    rawLength: UInt32(raw.readableBytes), previous: frames.last?.header.checksum ?? 0,
                    payloadCRC: CRC32C.checksum(payload))
                header.seal()
                frames.append(
                    SealedFrame(
                        handle: nil, generation: 0, segment: segment, position: UInt32(starts[number]), header: header,
                        payload: payload, isIndexed: number == 0, maxTimestampSoFar: 7, startsTerm: number == 0,
                        meta: nil))
                starts.append(starts[number] + header.frameBytes)
            }
            self.frames = frames
            self.starts = starts
        }

        /// The bits of the second frame's header and payload, and those of its padding.
        var bits: Range<Int> { starts[1] * 8..<(starts[2] - frames[1].header.paddingBytes) * 8 }
        var paddingBits: Range<Int> { bits.upperBound..<starts[2] * 8 }

        /// A segment file with the first `count` frames, and zeros behind them.
        func file(_ count: Int, zeros: Int = 4096) throws -> BytesFile {
            let file = BytesFile(segment.path, [])
            var writer = FrameWriter()
            _ = try writer.write(frames.prefix(count), to: file)
            file.bytes += [UInt8](repeating: 0, count: zeros)
            return file
        }

        /// What the scan makes of `file` when entries up to `proven` are known to have been durable.
        func scan(_ file: BytesFile, proven: Int) throws -> (end: ScanEnd, taken: Int, isOriginal: Bool) {
            let scan = SegmentScan(file: file, segment: segment, provenThrough: LogIndex(UInt64(proven)))
            var tip = LogTip(nextIndex: LogIndex(1), term: .zero, nextOffset: .zero, checksum: nil)
            var taken = 0
            var isOriginal = true
            let end = try scan.run(from: 0, tip: &tip) { frame throws(StoreError) in
                let original = frames[taken]
                isOriginal = isOriginal && frame.header == original.header && frame.payload == original.payload
                taken += 1
            }
            return (end, taken, isOriginal)
        }
    }

    // MARK: Segments

    @Test(arguments: codecs) func everyBitOfAProvenFrameIsDamage(codec: FrameCodec) throws {
        let frames = try Frames(codec)
        #expect(frames.frames[1].payload.readableBytes >= 100 && frames.frames[1].header.paddingBytes > 0)
        for count in 2...3 {
            let file = try frames.file(count)
            for bit in frames.bits {
                let (end, taken, isOriginal) = try file.flipped(bit) { try frames.scan(file, proven: 2) }
                guard end.verdict == .corrupt, taken == 1, isOriginal, end.position == frames.starts[1] else {
                    Issue.record("\(codec), bit \(bit): \(end.verdict) after \(taken) frames")
                    return
                }
            }
        }
    }

    @Test(arguments: codecs) func everyBitOfAnUnprovenFrameEndsTheLog(codec: FrameCodec) throws {
        let frames = try Frames(codec)
        for count in 2...3 {
            let file = try frames.file(count)
            let payload = (frames.starts[1] + FrameHeader.byteCount) * 8
            for bit in frames.bits {
                let (end, taken, isOriginal) = try file.flipped(bit) { try frames.scan(file, proven: 1) }
                // A whole header over a full but wrong payload is no torn write when a later frame stands behind it.
                let expected: RecoveryVerdict = count == 3 && bit >= payload ? .corrupt : .wipe
                guard end.verdict == expected, taken == 1, isOriginal, end.position == frames.starts[1] else {
                    Issue.record("\(codec), \(count) frames, bit \(bit): \(end.verdict) after \(taken) frames")
                    return
                }
            }
        }
    }

    /// Padding carries nothing and is under no checksum: what is read is the original whatever stands there.
    @Test(arguments: codecs) func paddingChangesNothing(codec: FrameCodec) throws {
        let frames = try Frames(codec)
        let file = try frames.file(3)
        for bit in frames.paddingBits {
            let (end, taken, isOriginal) = try file.flipped(bit) { try frames.scan(file, proven: 3) }
            #expect(end.verdict == .corrupt || end.verdict == .end)
            #expect(taken == 3 && isOriginal, "\(codec), bit \(bit)")
        }
    }

    /// The file ends, or has only zeros, from any byte of the frame on: what a crash can leave.
    @Test(arguments: codecs, [false, true]) func everyLengthOfAFrame(codec: FrameCodec, zeroed: Bool) throws {
        let frames = try Frames(codec)
        let whole = try frames.file(2, zeros: zeroed ? 4096 : 0)
        let bytes = whole.bytes
        // The last byte that is not zero: to cut behind it changes nothing when zeros follow.
        let content = zeroed ? (bytes.lastIndex { $0 != 0 } ?? 0) + 1 : frames.starts[2]
        for length in frames.starts[1]..<content {
            let rest = zeroed ? [UInt8](repeating: 0, count: bytes.count - length) : []
            let file = BytesFile(whole.path, Array(bytes[..<length]) + rest)
            let unproven = try frames.scan(file, proven: 1)
            guard unproven.end.verdict == .wipe || unproven.end.verdict == .end, unproven.taken == 1 else {
                Issue.record("\(codec), length \(length): \(unproven.end.verdict) after \(unproven.taken) frames")
                return
            }
            // What is not wiped must never be taken for a frame later on.
            if unproven.end.verdict == .end { #expect(length == frames.starts[1]) }
            let proven = try frames.scan(file, proven: 2)
            guard proven.end.verdict == .corrupt, proven.taken == 1, proven.isOriginal else {
                Issue.record("\(codec), length \(length), proven: \(proven.end.verdict) after \(proven.taken) frames")
                return
            }
        }
        let (end, taken, isOriginal) = try frames.scan(whole, proven: 2)
        #expect(end.verdict == .end && taken == 2 && isOriginal)
    }

    // MARK: The journal

    /// A journal of one file: a block before, the block with the frame, a command and a vote, and perhaps one behind.
    struct Journal {
        let file: BytesFile
        let frames: Frames
        /// Every item that was written.
        let items: [String]
        /// Where the second block begins, and how many bytes it has without padding.
        let start = 4096
        let length: Int

        init(_ codec: FrameCodec, blocks: Int) throws {
            frames = try Frames(codec)
            let system = FaultyFileSystem()
            var settings = StoreSettings(directory: "/store")
            settings.journalFile = .kibibytes(64)
            settings.journalFiles = 2
            var writer = try JournalWriter(
                system: system, directory: "/store/journal", settings: settings, journalID: 9, nextSequence: 1)
            writer.add(frames.frames[0])
            _ = try writer.write()
            writer.add(frames.frames[1])
            writer.add(Self.command)
            writer.add(HardStateRecord(term: Term(3), votedFor: NodeID(rawValue: 2)), of: group)
            writer.add(HardStateRecord(term: Term(4), votedFor: nil), of: group)
            length = writer.stagedBytes
            _ = try writer.write()
            if blocks == 3 {
                writer.add(frames.frames[2])
                _ = try writer.write()
            }
            let disk = try system.open("/store/journal/0.jnl", .read)
            var bytes = ByteBuffer()
            _ = try disk.read(4096 * 4, at: 0, into: &bytes)
            file = BytesFile("/store/journal/0.jnl", Array(bytes.readableBytesView))
            var found: [String] = []
            let reader = try JournalReader(
                system: BytesFileSystem(files: [file]), directory: "/store/journal", journalID: 9)
            _ = try reader.read(from: 1) { item throws(StoreError) in found.append("\(item)") }
            items = found
        }

        static var command: SealedFrame {
            let payload = ByteBuffer(string: "a command")
            var header = FrameHeader(
                kind: .command, codec: .none, flags: [], group: .controller, salt: 0, term: Term(1),
                index: LogIndex(1), baseOffset: .zero, maxTimestamp: -1, recordCount: 0, storedLength: 9, rawLength: 9,
                previous: 0, payloadCRC: CRC32C.checksum(payload))
            header.seal()
            return SealedFrame(
                handle: nil, generation: 0, segment: nil, position: 0, header: header, payload: payload,
                isIndexed: false, maxTimestampSoFar: -1, startsTerm: false, meta: nil)
        }

        enum Reading: Equatable {
            /// Reading ended behind so many items, all of them as they were written.
            case end(Int, next: UInt64)
            case damage
            /// Something else than what was written was read.
            case altered
        }

        /// Reads everything as replay does.
        func read() throws -> Reading {
            let reader = try JournalReader(
                system: BytesFileSystem(files: [file]), directory: "/store/journal", journalID: 9)
            var count = 0
            var isOriginal = true
            do throws(StoreError) {
                let outcome = try reader.read(from: 1) { item throws(StoreError) in
                    isOriginal = isOriginal && count < items.count && "\(item)" == items[count]
                    count += 1
                }
                return isOriginal ? .end(count, next: outcome.nextSequence) : .altered
            } catch {
                guard case .corrupt = error else { throw error }
                return isOriginal ? .damage : .altered
            }
        }
    }

    @Test(arguments: codecs) func everyBitOfAJournalBlock(codec: FrameCodec) throws {
        for blocks in 2...3 {
            let journal = try Journal(codec, blocks: blocks)
            #expect(journal.items.count == blocks + 3)
            #expect(try journal.read() == .end(blocks + 3, next: UInt64(blocks + 1)))
            // The frame's own padding is the only part of a block's content that no checksum covers.
            let frame = journal.start + JournalFormat.headerBytes + JournalFormat.frameItemBytes
            let end = frame + journal.frames.frames[1].frameBytes
            let command = end + JournalFormat.frameItemBytes + Journal.command.frameBytes
            let padding = Set(
                Array(end - journal.frames.frames[1].header.paddingBytes..<end)
                    + Array(command - Journal.command.header.paddingBytes..<command))
            for bit in journal.start * 8..<(journal.start + journal.length) * 8 {
                let reading = try journal.file.flipped(bit) { try journal.read() }
                let isRight =
                    switch reading {
                    case .end(let count, _) where padding.contains(bit / 8): count == blocks + 3
                    // The journal's last block may be torn; its whole items are used.
                    case .end(let count, let next): blocks == 2 && (1..<5).contains(count) && (2...3).contains(next)
                    case .damage: blocks == 3
                    case .altered: false
                    }
                guard isRight else {
                    Issue.record("\(codec), \(blocks) blocks, byte \(bit / 8 - journal.start): \(reading)")
                    return
                }
            }
        }
    }

    @Test(arguments: codecs, [false, true]) func everyLengthOfAJournalBlock(codec: FrameCodec, zeroed: Bool) throws {
        let journal = try Journal(codec, blocks: 2)
        let bytes = journal.file.bytes
        let content = (bytes.lastIndex { $0 != 0 } ?? 0) + 1
        for length in journal.start..<content {
            let rest = zeroed ? [UInt8](repeating: 0, count: bytes.count - length) : []
            journal.file.bytes = Array(bytes[..<length]) + rest
            let reading = try journal.read()
            guard case .end(let count, let next) = reading, (1..<5).contains(count), (2...3).contains(next) else {
                Issue.record("\(codec), length \(length - journal.start): \(reading)")
                return
            }
        }
    }
}
