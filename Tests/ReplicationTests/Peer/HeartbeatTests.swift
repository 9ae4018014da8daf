// SPDX-License-Identifier: Apache-2.0
//
// HeartbeatTests.swift
// Vectors of heartbeats come out as they went in, whatever form they took and whatever was lost.

import Model
import NIOCore
import Testing

@testable import Replication

@Suite struct HeartbeatTests {
    /// A vector as the receiver decodes it.
    private func travelled(_ vector: HeartbeatVector) throws -> HeartbeatVector {
        guard case .heartbeats(let other) = try PeerFrameDecoder.decode(PeerSamples.encoded(.heartbeats(vector))) else {
            throw PeerFrameError.malformed("no vector")
        }
        return other
    }

    private func isFull(_ vector: HeartbeatVector) -> Bool {
        if case .full = vector.content { true } else { false }
    }

    @Test(arguments: HeartbeatVector.Kind.allCases)
    func nothingChanged(_ kind: HeartbeatVector.Kind) throws {
        var sender = HeartbeatSender()
        var receiver = HeartbeatReceiver()
        var rows = PeerSamples.rows(1000)
        if kind == .answers { for place in rows.indices { rows[place].value = UInt64(place % 2) } }
        for round in 0..<5 {
            let vectors = sender.vectors(kind, rows)
            let vector = try #require(vectors.first)
            #expect(vectors.count == 1 && isFull(vector) == (round == 0))
            if round > 0 { #expect(PeerSamples.encoded(.heartbeats(vector)).readableBytes < 40) }
            #expect(try receiver.complete(travelled(vector)).rows == rows)
            for place in rows.indices { rows[place].round += UInt64(round % 3) }
        }
    }

    @Test func someRowsChanged() throws {
        var sender = HeartbeatSender()
        var receiver = HeartbeatReceiver()
        var random = SeededRandom(seed: 7)
        var rows = PeerSamples.rows(50)
        var full = 0
        for _ in 0..<200 {
            for vector in sender.vectors(.heartbeats, rows) {
                if isFull(vector) { full += 1 }
                #expect(try receiver.complete(travelled(vector)).rows == rows)
            }
            for place in rows.indices { rows[place].round += 1 }
            for _ in 0..<(random.next() % 4) {
                let place = Int(random.next() % UInt64(rows.count))
                switch random.next() % 4 {
                case 0: rows[place].term = rows[place].term.next
                case 1: rows[place].value += random.next() % 100
                case 2: rows[place].round += random.next() % 5
                default: rows[place].session += 1
                }
            }
            // Groups come and go.
            if random.next() % 20 == 0, rows.count > 10 { rows.remove(at: Int(random.next() % UInt64(rows.count))) }
        }
        #expect(full > 1 && full < 60)
    }

    /// A vector that was lost, came twice or late is noticed, and the next full one mends it.
    @Test func lostRepeatedAndReorderedVectors() throws {
        var random = SeededRandom(seed: 11)
        var sender = HeartbeatSender()
        var receiver = HeartbeatReceiver()
        var rows = PeerSamples.rows(20)
        var held: HeartbeatVector?
        var (mended, wrong) = (0, 0)
        for _ in 0..<1000 {
            for place in rows.indices { rows[place].round += 1 }
            rows[3].value += 1
            let vector = sender.vectors(.heartbeats, rows)[0]
            var arriving: [HeartbeatVector] = []
            switch random.next() % 10 {
            case 0: break
            case 1: arriving = [vector, vector]
            case 2: held = vector
            case 3: arriving = [vector, held].compactMap { $0 }
            default: arriving = [held, vector].compactMap { $0 }
            }
            if !arriving.isEmpty { held = nil }
            for one in arriving {
                let outcome = try receiver.complete(one)
                if case .unknown(let slot) = outcome {
                    sender.reset(slot: slot)
                    mended += 1
                }
                if let came = outcome.rows {
                    // What comes out is what went in at some time: a full vector may be old, changes never mislead.
                    if one == vector, came != rows { wrong += 1 }
                }
            }
        }
        #expect(wrong == 0 && mended > 50)
    }

    @Test func hostsHaveSlotsOfTheirOwn() throws {
        var sender = HeartbeatSender()
        var receiver = HeartbeatReceiver()
        let hosts = (0..<4 as Range<UInt64>).map { host in
            PeerSamples.rows(10).map { row in
                var row = row
                row.group = GroupID(rawValue: row.group.rawValue + host)
                return row
            }
        }
        for round in 0..<3 {
            for rows in hosts {
                for kind in HeartbeatVector.Kind.allCases {
                    let trusted = rows.map { row in
                        var row = row
                        if kind == .answers { row.value = 1 }
                        return row
                    }
                    let vector = sender.vectors(kind, trusted)[0]
                    #expect(isFull(vector) == (round == 0))
                    #expect(try receiver.complete(travelled(vector)).rows == trusted)
                }
            }
        }
    }

    /// Single heartbeats, as reads ask for, and many hosts do not break what is remembered.
    @Test func smallVectorsAndManyHosts() throws {
        var sender = HeartbeatSender()
        var receiver = HeartbeatReceiver()
        for round in 0..<3 as Range<UInt64> {
            for host in 0..<50 as Range<UInt64> {
                var rows = PeerSamples.rows(host % 5 == 0 ? 2 : 8, round: round)
                for place in rows.indices { rows[place].group = GroupID(rawValue: host * 100 + UInt64(place)) }
                for vector in sender.vectors(.heartbeats, rows) {
                    #expect(rows.count > 2 || vector.slot == HeartbeatVector.noSlot)
                    #expect(try receiver.complete(travelled(vector)).rows == rows)
                }
            }
        }
    }

    @Test func moreRowsThanAVectorHolds() throws {
        var sender = HeartbeatSender()
        var receiver = HeartbeatReceiver()
        let rows = PeerSamples.rows(HeartbeatVector.rowsMax * 2 + 100)
        for round in 0..<2 {
            var came: [HeartbeatRow] = []
            for vector in sender.vectors(.heartbeats, rows) {
                #expect(isFull(vector) == (round == 0))
                if let part = try receiver.complete(travelled(vector)).rows { came += part }
            }
            #expect(came == rows)
        }
    }

    /// Neither side remembers more than the limit.
    @Test func rememberedRowsAreBounded() throws {
        var sender = HeartbeatSender()
        var receiver = HeartbeatReceiver()
        let host = PeerSamples.rows(HeartbeatVector.rowsMax)
        for number in 0..<20 as Range<UInt64> {
            var rows = host
            rows[0].group = GroupID(rawValue: number)
            let vector = sender.vectors(.heartbeats, rows)[0]
            #expect((vector.slot == HeartbeatVector.noSlot) == (number >= 16))
            #expect(try receiver.complete(vector).rows == rows)
        }
        var greedy = HeartbeatReceiver()
        for slot in 0..<16 as Range<UInt8> {
            _ = try greedy.complete(HeartbeatVector(kind: .heartbeats, slot: slot, number: 1, content: .full(host)))
        }
        #expect(throws: PeerFrameError.self) {
            try greedy.complete(HeartbeatVector(kind: .heartbeats, slot: 16, number: 1, content: .full(host)))
        }
    }
}
