// SPDX-License-Identifier: Apache-2.0
//
// Main.swift
// Throughput of the consensus core: three replicas of each group in memory, from proposal to commit on all of them, and
// what an idle group costs at each tick. Storage answers at once and messages arrive at once: this is CPU time only.
//
//     swift run -c release raft-benchmark [entries] [groups] [batch]
//
// Allocations per entry: Benchmarks/raft/allocations.c says how.

internal import Model
internal import Raft

/// Three replicas of one group.
struct Group {
    typealias Core = Raft.Instance<UInt64>

    private var replicas: [Core]
    private var queue: [Raft.Message<UInt64>] = []
    private var directives: Core.Directives = []
    private(set) var messages = 0

    init(_ number: Int) {
        let voters = (1...3).map { NodeID(rawValue: $0) }
        replicas = voters.map { id in
            Core(
                id: id, group: GroupID(rawValue: UInt64(number)), settings: Raft.Settings(),
                state: .empty(Raft.Configuration(voters: voters)), seed: UInt64(number * 3) + UInt64(id.rawValue))
        }
        replicas[0].campaign(into: &directives)
        carryOut(0)
        settle()
        precondition(replicas[0].isTermConfirmed, "no leader")
    }

    /// Appends entries and runs until every replica knows them to be committed.
    mutating func propose(_ proposals: [Raft.Proposal<UInt64>]) throws {
        _ = try replicas[0].propose(proposals, into: &directives)
        carryOut(0)
        settle()
    }

    mutating func tick() {
        for place in replicas.indices {
            replicas[place].tick(into: &directives)
            carryOut(place)
        }
        settle()
    }

    var committed: LogIndex { replicas.map(\.committedIndex).min() ?? .zero }

    private mutating func settle() {
        var next = 0
        while next < queue.count {
            let message = queue[next]
            next += 1
            let place = Int(message.to.rawValue) - 1
            replicas[place].step(message, into: &directives)
            carryOut(place)
        }
        messages += next
        queue.removeAll(keepingCapacity: true)
    }

    private mutating func carryOut(_ place: Int) {
        var done = 0
        while done < directives.count {
            switch directives[done] {
            case .persistHardState(let state): replicas[place].hardStatePersisted(state, into: &directives)
            case .append(let entries):
                let last = entries[entries.count - 1]
                replicas[place].persisted(last.index, term: last.term, into: &directives)
            case .send(let message): queue.append(message)
            default: break
            }
            done += 1
        }
        directives.removeAll(keepingCapacity: true)
    }
}

/// Runs and prints.
@main
struct RaftBenchmark {
    static func main() throws {
        let arguments = CommandLine.arguments.dropFirst().compactMap { Int($0) }
        let entries = arguments.first ?? 1_000_000
        let groups = arguments.dropFirst().first ?? 1
        let batch = arguments.dropFirst(2).first ?? 1
        var all = (0..<groups).map(Group.init)
        let proposals = (0..<batch).map { Raft.Proposal(UInt64($0), byteCount: 100) }
        let rounds = max(1, entries / (groups * batch))
        let clock = ContinuousClock()
        let time = try clock.measure {
            for _ in 0..<rounds { for group in all.indices { try all[group].propose(proposals) } }
        }
        let done = rounds * groups * batch
        let perEntry = nanoseconds(time) / Double(done)
        print("\(groups) groups, batches of \(batch): \(done) entries, \(Int(perEntry)) ns each, ", terminator: "")
        print("\(Int(1e9 / perEntry)) entries/s, \(all.reduce(0) { $0 + $1.messages } / max(1, done)) messages each")

        let ticks = max(10, 2_000_000 / groups / 3)
        let idle = clock.measure { for _ in 0..<ticks { for group in all.indices { all[group].tick() } } }
        let perTick = nanoseconds(idle) / Double(ticks * groups)
        print("idle: \(Int(perTick)) ns for a tick of a group's three replicas, heartbeats included")
        precondition(all.allSatisfy { $0.committed > LogIndex(UInt64(rounds * batch)) }, "entries are missing")
    }

    private static func nanoseconds(_ duration: Duration) -> Double {
        Double(duration.components.seconds) * 1e9 + Double(duration.components.attoseconds) / 1e9
    }
}
