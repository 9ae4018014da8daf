// SPDX-License-Identifier: Apache-2.0
//
// PeerCodecTests.swift
// Frames come back as they were sent, and nothing else is taken for a frame.

import LogStore
import Model
import NIOCore
import Raft
import Records
import Testing

@testable import Replication

@Suite struct PeerCodecTests {
    private func isUnderstood(_ bytes: ByteBuffer) -> Bool { (try? PeerFrameDecoder.decode(bytes)) != nil }

    @Test(arguments: PeerSamples.frames.indices)
    func everyFrameComesBack(_ place: Int) throws {
        let frame = PeerSamples.frames[place]
        guard case .messages(let messages) = frame, messages.isEmpty else {
            let decoded = try PeerFrameDecoder.decode(PeerSamples.encoded(frame))
            #expect(PeerSamples.text(decoded) == PeerSamples.text(frame))
            return
        }
        // Nothing is nothing to send.
        var output = PeerOutput()
        output.write(frame)
        #expect(output.isEmpty)
    }

    @Test(arguments: PeerSamples.frames.indices)
    func everyTruncationIsRefused(_ place: Int) throws {
        guard place != 3 else { return }
        let bytes = PeerSamples.encoded(PeerSamples.frames[place])
        // All lengths of small frames and heads; of large payloads every 13th.
        let head = min(bytes.readableBytes, 4000)
        let lengths = Array(0..<head) + Array(stride(from: head, to: bytes.readableBytes, by: 13))
        let understood = lengths.filter { length in
            bytes.getSlice(at: bytes.readerIndex, length: length).map(isUnderstood) ?? true
        }
        #expect(understood.isEmpty)
        var longer = bytes
        longer.writeInteger(UInt8(0))
        #expect(throws: PeerFrameError.self) { try PeerFrameDecoder.decode(longer) }
    }

    @Test(arguments: PeerSamples.frames.indices)
    func everyFlippedBitIsRefused(_ place: Int) throws {
        guard place != 3 else { return }
        var bytes = PeerSamples.encoded(PeerSamples.frames[place])
        // All bits of small frames and heads; of large payloads every 211th byte.
        let step = bytes.readableBytes > 4000 ? 211 : 1
        var understood: [Int] = []
        var position = bytes.readerIndex
        while position < bytes.writerIndex {
            let byte = try #require(bytes.getInteger(at: position, as: UInt8.self))
            for bit in 0..<8 {
                bytes.setInteger(byte ^ (1 << UInt8(bit)), at: position)
                if isUnderstood(bytes) { understood.append(position) }
            }
            bytes.setInteger(byte, at: position)
            position += position < 600 ? 1 : step
        }
        #expect(understood.isEmpty)
    }

    /// Heads whose checksum was made to fit, so that what is behind it is reached.
    @Test func randomHeadsNeverTrap() {
        var random = SeededRandom(seed: 42)
        var understood = 0
        for round in 0..<10_000 {
            let type = PeerFrameType.allCases[round % PeerFrameType.allCases.count]
            let length = Int(random.next() % 120)
            var output = PeerOutput()
            output.frame(type) { head in
                for _ in 0..<length {
                    // Small numbers are more often meaningful.
                    let byte = UInt8(truncatingIfNeeded: random.next())
                    head.writeInteger(random.next() % 3 == 0 ? byte : byte & 3)
                }
                return []
            }
            var bytes = output.take()[0]
            bytes.moveReaderIndex(forwardBy: PeerFrameHeader.lengthBytes)
            if (try? PeerFrameDecoder.decode(bytes)) != nil { understood += 1 }
        }
        #expect(understood > 0)
    }

    /// Valid frames with bytes changed and the checksum of the head made to fit again.
    @Test func damagedHeadsNeverTrap() throws {
        var random = SeededRandom(seed: 43)
        for round in 0..<6_000 {
            let place = round % PeerSamples.frames.count
            guard place != 3 else { continue }
            var bytes = PeerSamples.encoded(PeerSamples.frames[place])
            let headLength = Int(
                try #require(bytes.getInteger(at: bytes.readerIndex + 8, endianness: .little, as: UInt32.self)))
            for _ in 0..<(1 + random.next() % 3) where headLength > 0 {
                let position = bytes.readerIndex + PeerFrameHeader.byteCount + Int(random.next() % UInt64(headLength))
                bytes.setInteger(UInt8(truncatingIfNeeded: random.next()), at: position)
            }
            let checksum = PeerOutput.headChecksum(bytes.readableBytesSpan, at: 0, headLength: headLength)
            bytes.setInteger(checksum, at: bytes.readerIndex + PeerFrameHeader.checkedBytes, endianness: .little)
            _ = try? PeerFrameDecoder.decode(bytes)
        }
    }

    @Test func randomBytesNeverTrap() {
        let understood = (0..<4_000 as Range<UInt64>).filter { seed in
            isUnderstood(PeerSamples.bytes(Int(seed % 200), seed: seed))
        }
        #expect(understood.isEmpty)
    }

    /// Counts far above what the bytes could hold are refused before anything is made for them.
    @Test(arguments: [PeerFrameType.messages, .leaders, .heartbeats])
    func absurdCountsAreRefused(_ type: PeerFrameType) {
        var output = PeerOutput()
        output.frame(type) { head in
            if type == .heartbeats {
                head.writeInteger(UInt16(0))
                head.writeInteger(UInt32(0))
                head.writeInteger(UInt8(0))
            }
            head.writeInteger(UInt32.max)
            head.writeInteger(UInt64(0))
            return []
        }
        var bytes = output.take()[0]
        bytes.moveReaderIndex(forwardBy: PeerFrameHeader.lengthBytes)
        #expect(throws: PeerFrameError.malformed("\(UInt32.max) elements")) { try PeerFrameDecoder.decode(bytes) }
    }

    @Test func entriesThatRaftCouldNotBelieveAreRefused() throws {
        let small = PeerSamples.bytes(10)
        let wrong = [
            // A term below the one before, one above the leader's.
            PeerSamples.append([PeerSamples.entry(7, term: 1, payload: small)]),
            PeerSamples.append([PeerSamples.entry(7, term: 5, payload: small)]),
            PeerSamples.append([PeerSamples.entry(7, kind: .footer, payload: small)]),
            PeerSamples.append([PeerSamples.entry(7, payload: small, lead: 4096)]),
            PeerMessage(group: PeerSamples.group, term: Term(1 << 31), body: .campaignNow),
            PeerMessage(
                group: PeerSamples.group, term: Term(1),
                body: .appendResponse(
                    Raft.AppendResponse(appended: LogIndex(3), flushed: LogIndex(4), isTrusted: true, session: 1))),
        ]
        for message in wrong {
            let bytes = PeerSamples.encoded(.messages([message]))
            #expect(throws: PeerFrameError.self) { try PeerFrameDecoder.decode(bytes) }
        }
    }

    @Test func aDamagedPayloadIsTold() throws {
        var bytes = PeerSamples.encoded(
            .messages([PeerSamples.append([PeerSamples.entry(7, payload: PeerSamples.bytes(9000))])]))
        bytes.setInteger(UInt8(1), at: bytes.writerIndex - 1)
        #expect(throws: PeerFrameError.payloadChecksum) { try PeerFrameDecoder.decode(bytes) }
    }

    /// Large payloads pass through on both sides; small ones do not keep a large buffer in memory.
    @Test func payloadsAreCopiedOnlyWhenSmall() throws {
        let large = PeerSamples.bytes(1 << 20)
        var output = PeerOutput()
        output.write(.messages([PeerSamples.append([PeerSamples.entry(7, payload: large)])]))
        let pieces = output.take()
        #expect(pieces.count == 2 && pieces[1].readableBytes == large.readableBytes)
        let decoded = try PeerFrameDecoder.decode(
            PeerSamples.encoded(
                .messages([
                    PeerSamples.append([
                        PeerSamples.entry(7, payload: large), PeerSamples.entry(8, payload: PeerSamples.bytes(100)),
                    ])
                ])))
        guard case .messages(let messages) = decoded, case .append(let append)? = messages.first?.body else {
            Issue.record("no append")
            return
        }
        #expect(append.entries[0].payload.storageCapacity >= 1 << 20)
        #expect(append.entries[1].payload.storageCapacity <= 256)
    }

    @Test func messagesAreCutIntoFrames() throws {
        let messages = (0..<40 as Range<UInt64>).map { number in
            PeerSamples.append(
                [PeerSamples.entry(7, payload: PeerSamples.bytes(100_000, seed: number))],
                group: GroupID(rawValue: 2000 + number))
        }
        var output = PeerOutput()
        output.write(messages[...])
        var all = ByteBuffer()
        for piece in output.take() { all.writeImmutableBuffer(piece) }
        var stream = PeerStream(bytesMax: 8 << 20)
        var seen: [String] = []
        var frames = 0
        while let bytes = try stream.next(from: &all) {
            guard case .messages(let part) = try PeerFrameDecoder.decode(bytes) else { continue }
            frames += 1
            seen += part.map(PeerSamples.text)
        }
        #expect(frames == 4 && seen == messages.map(PeerSamples.text))
    }
}
