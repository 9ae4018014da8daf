// SPDX-License-Identifier: Apache-2.0
//
// JournalTests.swift
// The journal alone: what is written is read in order, laps of the ring are told apart, torn ends are ends.

import CrashScenario
import Model
import NIOCore
import Records
import Testing

@testable import LogStore

@Suite struct JournalTests {
    private static func settings() -> StoreSettings {
        var settings = StoreSettings(directory: "/store")
        settings.journalFile = .kibibytes(256)
        settings.journalFiles = 2
        return settings
    }

    private static func frame(_ index: UInt64, bytes: Int) -> SealedFrame {
        let payload = ByteBuffer(repeating: UInt8(truncatingIfNeeded: index), count: bytes)
        var header = FrameHeader(
            kind: .data, codec: .none, flags: [], group: LogFixture.group, salt: 5, term: Term(1),
            index: LogIndex(index), baseOffset: Offset(Int64(index)), maxTimestamp: 1, recordCount: 1,
            storedLength: UInt32(bytes), rawLength: UInt32(bytes), previous: 0,
            payloadCRC: CRC32C.checksum(payload))
        header.seal()
        let segment = Segment(group: LogFixture.group, base: LogIndex(1), salt: 5, root: "/store")
        return SealedFrame(
            handle: nil, generation: 0, segment: segment, position: UInt32(index) * 128, header: header,
            payload: payload, isIndexed: false, maxTimestampSoFar: 1, startsTerm: false, meta: nil)
    }

    private func indices(_ system: FaultyFileSystem, from start: UInt64) throws -> ([UInt64], JournalReader.Outcome) {
        var found: [UInt64] = []
        let reader = try JournalReader(system: system, directory: "/store/journal", journalID: 9)
        let outcome = try reader.read(from: start) { item throws(StoreError) in
            if case .frame(let header, _, _, let position) = item {
                #expect(position == UInt32(header.index.rawValue) * 128)
                found.append(header.index.rawValue)
            }
        }
        return (found, outcome)
    }

    @Test func readsWhatWasWritten() throws {
        let system = FaultyFileSystem()
        var writer = try JournalWriter(
            system: system, directory: "/store/journal", settings: Self.settings(), journalID: 9, nextSequence: 1)
        for block in 0..<5 {
            for number in 0..<3 { writer.add(Self.frame(UInt64(block * 3 + number + 1), bytes: block * 700 + number)) }
            writer.add(HardStateRecord(term: Term(3), votedFor: nil), of: LogFixture.group)
            let sequence = try writer.write().sequence
            #expect(sequence == UInt64(block + 1))
        }
        let (all, outcome) = try indices(system, from: 1)
        #expect(all == Array(1...15) && outcome.nextSequence == 6 && outcome.blocks == 5 && !outcome.endsTorn)
        #expect(try indices(system, from: 4).0 == Array(10...15))
        #expect(try indices(system, from: 6).0 == [])
        // Blocks of another store are none.
        let other = try JournalReader(system: system, directory: "/store/journal", journalID: 10)
        #expect(try other.read(from: 1) { _ throws(StoreError) in Issue.record("read") }.blocks == 0)
    }

    @Test func preparesItsFileOnce() throws {
        let system = FaultyFileSystem()
        var writer = try JournalWriter(
            system: system, directory: "/store/journal", settings: Self.settings(), journalID: 9, nextSequence: 1)
        writer.add(Self.frame(1, bytes: 100))
        _ = try writer.write()
        while try writer.prepareAhead() {}
        #expect(system.written == 256 << 10)
        #expect(try indices(system, from: 1).0 == [1])
        writer.add(Self.frame(2, bytes: 100))
        _ = try writer.write()
        #expect(try !writer.prepareAhead())
        #expect(try indices(system, from: 1).0 == [1, 2])
    }

    @Test func lapsAreToldApart() throws {
        let system = FaultyFileSystem()
        var writer = try JournalWriter(
            system: system, directory: "/store/journal", settings: Self.settings(), journalID: 9, nextSequence: 1)
        // Each file takes three blocks of this size; the ring is lapped several times.
        for block in 1...20 {
            writer.add(Self.frame(UInt64(block), bytes: 70_000))
            _ = try writer.write()
        }
        for start in 18...20 {
            #expect(try indices(system, from: UInt64(start)).0 == (start...20).map { UInt64($0) }, "from \(start)")
        }
        // What was overwritten is missed.
        #expect(throws: StoreError.self) { _ = try indices(system, from: 2) }
    }

    /// The first block of a file names the file; without it what stands behind must not be taken for an earlier lap.
    @Test(arguments: [1, 20]) func aDamagedFirstBlockDoesNotHideItsFile(_ blocks: Int) throws {
        let system = FaultyFileSystem()
        var writer = try JournalWriter(
            system: system, directory: "/store/journal", settings: Self.settings(), journalID: 9, nextSequence: 1)
        for block in 1...(blocks + 2) {
            writer.add(Self.frame(UInt64(block), bytes: 70_000))
            _ = try writer.write()
        }
        // Files take three blocks: the last one begins with block 1, or 22, or is the other one with 19.
        for path in ["/store/journal/0.jnl", "/store/journal/1.jnl"] where system.exists(path) {
            let copy = system.afterCrash(.nothing, seed: 0)
            copy.flip(path, byte: 17, bit: 2)
            let last = UInt64(blocks + 2)
            let isLast = blocks == 20 && path == "/store/journal/1.jnl"
            if isLast {
                // Nothing tells a lone last block from one that never came.
                #expect(try indices(copy, from: last).0 == [])
            } else {
                #expect(throws: StoreError.self, "\(path)") { _ = try indices(copy, from: last - 2) }
            }
        }
    }

    /// What a checkpoint has passed may be unreadable; what is needed stands behind it.
    @Test func aDamagedBlockThatIsNotNeededHidesNothing() throws {
        let system = FaultyFileSystem()
        var writer = try JournalWriter(
            system: system, directory: "/store/journal", settings: Self.settings(), journalID: 9, nextSequence: 1)
        for block in 1...5 {
            writer.add(Self.frame(UInt64(block), bytes: 600))
            _ = try writer.write()
        }
        system.flip("/store/journal/0.jnl", byte: 4096 + 17, bit: 2)
        for start in 3...6 {
            let (found, outcome) = try indices(system, from: UInt64(start))
            #expect(found == Array(UInt64(start)..<6) && outcome.nextSequence == 6, "from \(start)")
        }
        #expect(throws: StoreError.self) { _ = try indices(system, from: 2) }
    }

    @Test func everyCutOfTheLastBlockIsAnEnd() throws {
        let system = FaultyFileSystem()
        var writer = try JournalWriter(
            system: system, directory: "/store/journal", settings: Self.settings(), journalID: 9, nextSequence: 1)
        writer.add(Self.frame(1, bytes: 600))
        _ = try writer.write()
        for number in 2...4 { writer.add(Self.frame(UInt64(number), bytes: 600)) }
        _ = try writer.write()
        let bytes = 64 + 3 * (24 + 696)
        for position in Array(4096..<4160) + Array(stride(from: 4160, to: 4096 + bytes, by: 53)) {
            let copy = system.afterCrash(.nothing, seed: 0)
            copy.flip("/store/journal/0.jnl", byte: position, bit: 3)
            let (found, outcome) = try indices(copy, from: 1)
            #expect(found == Array(1...UInt64(found.count)) && found.count < 4, "byte \(position)")
            #expect(outcome.nextSequence >= 2)
        }
    }
}
