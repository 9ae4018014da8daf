// SPDX-License-Identifier: Apache-2.0
//
// TransactionalIDModelTests.swift
// Producers that share a transactional id, lose answers, repeat requests and come back as zombies, against what a
// transaction promises: it ends in one way, and only for whoever has the latest epoch.

import KafkaProtocol
import Model
import TestSupport
import Testing

@testable import Broker

@Suite struct TransactionalIDModelTests {
    /// A producer as it knows itself.
    private struct Producer {
        var claim: ProducerClaim
        /// The transaction it has open, by its number.
        var open: Int?
    }

    /// What the coordinator has decided so far.
    private struct World {
        var record: TransactionRecord?
        var nextID: Int64 = 100
        /// The open transaction's number, and how all before it ended.
        var number = 0
        var ends: [Int: Bool] = [:]
        /// Every pair that was handed out, in order.
        var handedOut: [ProducerClaim] = []

        mutating func fresh() -> ProducerID {
            nextID += 1
            return ProducerID(rawValue: nextID)
        }

        /// Stores what is decided, and checks it against what was stored before.
        mutating func store(_ next: TransactionRecord) {
            if let record {
                if record.producerID == next.producerID { #expect(next.epoch >= record.epoch) }
                if next.state.isPrepared, !record.state.isPrepared {
                    #expect(record.state == .ongoing || next.state == .prepareAbort)
                    #expect(ends.updateValue(next.state == .prepareCommit, forKey: number) == nil)
                    number += 1
                }
                // How a transaction ends is never decided a second time.
                if record.state.isPrepared {
                    #expect(next.state == (record.state == .prepareCommit ? .completeCommit : .completeAbort))
                }
            }
            record = next
        }
    }

    @Test(arguments: UInt64(1)...30, [UInt8(1), 2])
    func aTransactionEndsInOneWay(seed: UInt64, version: UInt8) {
        var random = SeededRandom(seed: seed &* 31 &+ UInt64(version))
        var world = World()
        var producers: [Producer] = []
        for step in 0..<3_000 {
            let now = wall(Int64(step))
            switch Int.random(in: 0..<12, using: &random) {
            case 0: begin(&world, &producers, recovering: nil, now, &random)
            case 1:
                guard let place = producers.indices.randomElement(using: &random) else { continue }
                begin(&world, &producers, recovering: place, now, &random)
            case 2:
                if let record = world.record, record.state == .ongoing, Int.random(in: 0..<8, using: &random) == 0 {
                    world.store(TransactionInstance(record: record).fencingAbort(now: now))
                }
            case 3, 4:
                if let record = world.record, let next = TransactionInstance(record: record).completed(now: now) {
                    world.store(next)
                }
            case 5:
                // Epochs are used up soon.
                if var record = world.record, record.state == .empty, record.epoch < 30_000,
                    Int.random(in: 0..<20, using: &random) == 0
                {
                    record.epoch = TransactionRecord.lastEpoch - 2
                    world.record = record
                    producers = [Producer(claim: .init(producerID: record.producerID, epoch: record.epoch))]
                }
            case 6, 7, 8:
                guard let place = producers.indices.randomElement(using: &random) else { continue }
                add(&world, &producers[place], version, now)
            default:
                guard let place = producers.indices.randomElement(using: &random) else { continue }
                end(&world, &producers[place], version, now, &random)
            }
        }
        #expect(world.ends.count > 20)
        #expect(world.ends.values.contains(true) && world.ends.values.contains(false))
    }

    private func begin(
        _ world: inout World, _ producers: inout [Producer], recovering place: Int?, _ now: WallTime,
        _ random: inout SeededRandom
    ) {
        let claim = place.map { producers[$0].claim }
        let record =
            world.record
            ?? TransactionRecord(producerID: world.fresh(), timeoutMilliseconds: 1_000, changedAt: now)
        let instance = TransactionInstance(record: record)
        var decision = instance.initialise(claim: claim, timeoutMilliseconds: 1_000, fresh: nil, now: now)
        if decision == .needsProducerID {
            decision = instance.initialise(
                claim: claim, timeoutMilliseconds: 1_000, fresh: world.fresh(), now: now)
        }
        guard case .store(let next) = decision else { return }
        world.store(next)
        // The answer may be lost.
        guard next.state == .empty, Bool.random(using: &random) else { return }
        let producer = Producer(claim: ProducerClaim(producerID: next.producerID, epoch: next.epoch))
        if let place { producers[place] = producer } else { producers.append(producer) }
        if producers.count > 6 { producers.removeFirst() }
    }

    private func add(_ world: inout World, _ producer: inout Producer, _ version: UInt8, _ now: WallTime) {
        guard let record = world.record else { return }
        let decision = TransactionInstance(record: record).add(
            producer.claim, partitions: [partition("t", Int32(now.milliseconds % 7))], groups: [], version: version,
            now: now)
        switch decision {
        case .store(let next):
            #expect(producer.claim == ProducerClaim(producerID: record.producerID, epoch: record.epoch))
            world.store(next)
            producer.open = world.number
        case .done: producer.open = world.number
        case .refuse, .needsProducerID: break
        }
    }

    private func end(
        _ world: inout World, _ producer: inout Producer, _ version: UInt8, _ now: WallTime,
        _ random: inout SeededRandom
    ) {
        guard let record = world.record else { return }
        let isCommit = Bool.random(using: &random)
        let instance = TransactionInstance(record: record)
        var decision =
            version == 1
            ? instance.end(producer.claim, isCommit: isCommit, now: now)
            : instance.endRaisingEpoch(producer.claim, isCommit: isCommit, fresh: nil, now: now)
        if decision == .needsProducerID {
            decision = instance.endRaisingEpoch(producer.claim, isCommit: isCommit, fresh: world.fresh(), now: now)
        }
        switch decision {
        case .store(let next):
            world.store(next)
            // The answer may be lost; then the producer asks again, or begins anew.
            guard Bool.random(using: &random) else { return }
            if version == 2 { producer.claim = TransactionInstance(record: next).successor }
            producer.open = nil
        case .done:
            // What is told to have happened has happened.
            if let open = producer.open, open < world.number { #expect(world.ends[open] == isCommit) }
            if version == 2 { producer.claim = instance.successor }
            producer.open = nil
        case .refuse, .needsProducerID: break
        }
    }
}
