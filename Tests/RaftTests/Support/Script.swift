// SPDX-License-Identifier: Apache-2.0
//
// Script.swift
// A transcript: prose, commands that begin with "> ", and under each command what happened. Replayed and compared, or
// rewritten.

import Model
import Raft

/// A file of commands and their expected output.
struct Script {
    enum Item {
        /// A comment or an empty line.
        case text(String)
        case command(String, expected: [String])
    }

    private(set) var items: [Item] = []

    init(_ source: String) {
        var lines = source.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        if lines.last == "" { lines.removeLast() }
        for line in lines {
            if line.hasPrefix("> ") {
                items.append(.command(String(line.dropFirst(2)), expected: []))
            } else if line.hasPrefix("  "), case .command(let command, let expected)? = items.last {
                items[items.count - 1] = .command(command, expected: expected + [String(line.dropFirst(2))])
            } else {
                items.append(.text(line))
            }
        }
    }

    /// Runs all commands and returns the whole file as it should read.
    func replayed(mutation: Raft.Mutation? = nil) -> (text: String, violations: [String]) {
        let interpreter = Interpreter()
        #if MUTATIONS
            interpreter.cluster.settings.mutation = mutation
        #endif
        var lines: [String] = []
        for item in items {
            switch item {
            case .text(let line): lines.append(line)
            case .command(let command, _):
                lines.append("> " + command)
                lines += interpreter.run(command).map { "  " + $0 }
            }
        }
        return (lines.joined(separator: "\n") + "\n", interpreter.cluster.invariants.violations)
    }
}

/// Executes the commands of one script.
///
///     set KEY=N ...                        settings of nodes started from now on
///     add-nodes 1 2 3 [voters=1,2] [learners=3]    founding members; start-node 4 adds an empty replica
///     campaign N | tick N [COUNT] | resign N | status | log N
///     propose N TEXT [bytes=B] [count=C] | read N ID | transfer N TARGET
///     change N voters=1,2 learners=3 | cancel N
///     deliver|drop|duplicate|reverse|hold [from=N] [to=N] [kind=WORD] [count=C]     selects messages on the network
///     disconnect N PEER (the connection to the peer is lost, as N sees it)
///     persist N [COUNT] | persist-late N (appends are reported later) | report N [COUNT]
///     fetch N | crash N [keep=C] | restart N | tear N ENTRIES | compact N INDEX
///     wipe N (an empty disk, and it knows) | recreate N [floor=INDEX/TERM] (an empty disk, as if new)
///     corrupt N INDEX | repair N | lose N ENTRIES (the last ones of a stopped node's disk)
///     release (what was held back comes)
///     isolate N | heal | stabilize | wait N...
///     quiet COMMAND...                     runs a command without its transcript
final class Interpreter {
    let cluster = TestCluster()
    private var heldBack: [Message] = []

    func run(_ line: String) -> [String] {
        var words = line.split(separator: " ").map(String.init)
        cluster.output = []
        cluster.isTracing = true
        if words.first == "quiet" {
            words.removeFirst()
            cluster.isTracing = false
        }
        let arguments = Arguments(words)
        do throws(Raft.Refusal) {
            try execute(arguments)
        } catch {
            cluster.output.append("refused: \(error)")
        }
        return cluster.output.isEmpty ? ["ok"] : cluster.output
    }

    private func execute(_ arguments: Arguments) throws(Raft.Refusal) {
        switch arguments.verb {
        case "set": apply(arguments)
        case "add-nodes", "start-node": addNodes(arguments)
        case "status", "log": report(arguments)
        case "deliver", "drop", "duplicate", "reverse", "hold": handleNetwork(arguments)
        case "release":
            cluster.network += heldBack
            heldBack = []
        case "stabilize": cluster.stabilize()
        case "heal": cluster.isolated = []
        case "wait": wait(arguments)
        default: try executeOnNode(arguments)
        }
    }

    private func executeOnNode(_ arguments: Arguments) throws(Raft.Refusal) {
        let id = arguments.node(0)
        switch arguments.verb {
        case "campaign": cluster.run(id) { $0.campaign(into: &$1) }
        case "tick": for _ in 0..<arguments.count(1, else: 1) { cluster.run(id) { $0.tick(into: &$1) } }
        case "disconnect":
            let peer = arguments.node(1)
            cluster.run(id) { $0.disconnected(from: peer, into: &$1) }
        case "resign": cluster.run(id) { $0.resign(into: &$1) }
        case "persist": cluster.persist(id, count: arguments.count(1, else: .max))
        case "persist-late": cluster.persist(id, isLate: true)
        case "report": cluster.report(id, count: arguments.count(1, else: .max))
        case "fetch": cluster.fetch(id)
        case "isolate": cluster.isolated.insert(id)
        case "compact": cluster.compact(id, through: LogIndex(rawValue: UInt64(arguments.count(1, else: 0))))
        case "crash": cluster.crash(id, keep: arguments.number("keep") ?? 0)
        case "restart": cluster.start(id)
        case "wipe": wipe(id)
        case "recreate": startEmpty(id, .sound, floor: arguments.position("floor"))
        case "tear": cluster.tear(id, entries: arguments.count(1, else: 0))
        case "lose": cluster.node(id).disk.entries.removeLast(arguments.count(1, else: 1))
        case "repair": repair(id)
        case "corrupt": corrupt(id, from: LogIndex(rawValue: UInt64(arguments.count(1, else: 0))))
        default: try request(arguments, of: id)
        }
    }

    private func request(_ arguments: Arguments, of id: NodeID) throws(Raft.Refusal) {
        var refusal: Raft.Refusal?
        cluster.run(id) { raft, directives in
            do throws(Raft.Refusal) {
                switch arguments.verb {
                case "propose":
                    for turn in 0..<(arguments.number("count") ?? 1) {
                        let text = arguments.words[1] + (arguments.number("count") == nil ? "" : "\(turn + 1)")
                        let bytes = arguments.number("bytes") ?? text.utf8.count
                        _ = try raft.propose(text, byteCount: bytes, into: &directives)
                    }
                case "read":
                    try raft.requestRead(Raft.ReadID(rawValue: UInt64(arguments.count(1, else: 0))), into: &directives)
                case "transfer": try raft.transferLeadership(to: arguments.node(1), into: &directives)
                case "change":
                    _ = try raft.changeMembership(
                        voters: arguments.nodes("voters"), learners: arguments.nodes("learners"), into: &directives)
                case "cancel": _ = try raft.cancelMembershipChange(into: &directives)
                default: preconditionFailure("unknown command \(arguments.verb)")
                }
            } catch {
                refusal = error
            }
        }
        if let refusal { throw refusal }
    }

    private func apply(_ arguments: Arguments) {
        for (key, value) in arguments.options {
            guard let number = Int(value) else { preconditionFailure("set \(key)=\(value)") }
            switch key {
            case "message-bytes": cluster.settings.messageBytesMax = number
            case "window-messages": cluster.settings.windowMessagesMax = number
            case "window-bytes": cluster.settings.windowBytesMax = number
            case "uncommitted-bytes": cluster.settings.uncommittedBytesMax = number
            case "transfer-lag": cluster.settings.transferLagEntriesMax = number
            case "transfer-prepare": cluster.settings.transferPrepareTicks = number
            case "promotion-lag": cluster.settings.promotionLagEntriesMax = number
            case "held-messages": cluster.settings.heldMessagesMax = number
            case "transfer-block": cluster.settings.transferBlockTicks = number
            case "election-ticks": cluster.settings.electionTicks = number
            case "pending-reads": cluster.settings.pendingReadsMax = number
            default: preconditionFailure("unknown setting \(key)")
            }
        }
    }

    private func addNodes(_ arguments: Arguments) {
        let nodes = arguments.words.indices.map(arguments.node)
        let learners = arguments.nodes("learners")
        let voters =
            arguments.options["voters"] == nil ? nodes.filter { !learners.contains($0) } : arguments.nodes("voters")
        let isFounding = arguments.verb == "add-nodes"
        let configuration = isFounding ? Raft.Configuration(voters: voters, learners: learners) : .empty
        for node in nodes { cluster.add(node, configuration: configuration) }
    }

    /// The replicas hear nothing for an election timeout: they no longer protect their leader.
    ///
    /// What they send is lost.
    private func wait(_ arguments: Arguments) {
        cluster.isTracing = false
        let before = cluster.network.count
        for id in arguments.words.indices.map(arguments.node) {
            for _ in 0..<cluster.settings.electionTicks { cluster.run(id) { $0.tick(into: &$1) } }
        }
        cluster.network.removeLast(cluster.network.count - before)
    }

    /// The replica comes back with an empty disk and knows it.
    private func wipe(_ id: NodeID) { startEmpty(id, .amnesiac) }

    /// The replica comes back empty; as a sound one it takes itself for a new one, as after leaving the group.
    private func startEmpty(_ id: NodeID, _ standing: Raft.Standing, floor: Raft.Position? = nil) {
        cluster.crash(id)
        let node = cluster.node(id)
        node.disk = DiskImage(baseConfiguration: .empty)
        node.disk.floor = floor
        node.standing = standing
        cluster.invariants.forget(id)
        cluster.start(id)
    }

    private func repair(_ id: NodeID) {
        cluster.node(id).standing = .sound
        cluster.run(id) { $0.setStanding(.sound, into: &$1) }
    }

    private func corrupt(_ id: NodeID, from index: LogIndex) {
        cluster.node(id).standing = .corrupt(from: index)
        cluster.run(id) { $0.setStanding(.corrupt(from: index), into: &$1) }
    }

    // MARK: - Network

    private func handleNetwork(_ arguments: Arguments) {
        let from = arguments.nodes("from")
        let to = arguments.nodes("to")
        var indices = cluster.network.indices.filter { index in
            let message = cluster.network[index]
            return (from.isEmpty || from.contains(message.from)) && (to.isEmpty || to.contains(message.to))
                && arguments.options["kind"].map { $0 == kind(of: message) } ?? true
        }
        if let count = arguments.number("count") { indices = Array(indices.prefix(count)) }
        switch arguments.verb {
        case "deliver":
            // Messages that are sent meanwhile go to the end and stay there.
            for (done, index) in indices.enumerated() { cluster.deliver(at: index - done) }
        case "drop":
            for (done, index) in indices.enumerated() {
                let message = cluster.network.remove(at: index - done)
                cluster.trace("\(message.to): lost \(message.from) \(describe(message))")
            }
        case "hold":
            for (done, index) in indices.enumerated() { heldBack.append(cluster.network.remove(at: index - done)) }
        case "duplicate":
            for index in indices { cluster.network.append(cluster.network[index]) }
        default:
            let selected = indices.map { cluster.network[$0] }
            for (index, message) in zip(indices, selected.reversed()) { cluster.network[index] = message }
        }
    }

    // MARK: - Reports

    private func report(_ arguments: Arguments) {
        if arguments.verb == "log" {
            let node = cluster.node(arguments.node(0))
            cluster.output.append("base \(node.memory.base)")
            cluster.output += node.memory.entries.map { "\($0.position) \($0.text)" }
            return
        }
        for node in cluster.nodes {
            guard let raft = node.raft else {
                cluster.output.append("\(node.id): down")
                continue
            }
            cluster.output.append(
                "\(node.id): \(raft.role) term \(raft.term) log \(raft.firstIndex)...\(raft.lastIndex) "
                    + "flushed \(raft.flushedIndex) commit \(raft.committedIndex), \(raft.configuration)")
            for peer in raft.peerStatus {
                cluster.output.append(
                    "   \(peer.id): \(describe(peer.state)) match \(peer.match) next \(peer.next) "
                        + "in flight \(peer.inflightMessages)" + (peer.isTrusted ? "" : " (untrusted)"))
            }
        }
    }

    private func describe(_ state: Raft.ProgressState) -> String {
        switch state {
        case .probe: "probe"
        case .replicate: "replicate"
        case .snapshot(let pending): "snapshot" + (pending.map { " \($0)" } ?? "")
        }
    }

    private func describe(_ message: Message) -> String { RaftTests.describe(message) }
}

/// The words and the `key=value` options of a command.
struct Arguments {
    let verb: String
    var words: [String] = []
    var options: [String: String] = [:]

    init(_ all: [String]) {
        verb = all.first ?? ""
        for word in all.dropFirst() {
            if let equals = word.firstIndex(of: "=") {
                options[String(word[..<equals])] = String(word[word.index(after: equals)...])
            } else {
                words.append(word)
            }
        }
    }

    func node(_ index: Int) -> NodeID {
        guard index < words.count, let raw = Int32(words[index]) else { preconditionFailure("\(verb): no node") }
        return NodeID(rawValue: raw)
    }

    func count(_ index: Int, else value: Int) -> Int { index < words.count ? Int(words[index]) ?? value : value }

    func number(_ key: String) -> Int? { options[key].flatMap(Int.init) }

    /// `INDEX/TERM`.
    func position(_ key: String) -> Raft.Position? {
        let parts = (options[key] ?? "").split(separator: "/").compactMap { UInt64($0) }
        guard parts.count == 2 else { return nil }
        return Raft.Position(index: LogIndex(rawValue: parts[0]), term: Term(rawValue: parts[1]))
    }

    func nodes(_ key: String) -> [NodeID] {
        (options[key] ?? "").split(separator: ",").compactMap { Int32($0) }.map(NodeID.init(rawValue:))
    }
}
