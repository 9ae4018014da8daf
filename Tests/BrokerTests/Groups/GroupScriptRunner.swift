// SPDX-License-Identifier: Apache-2.0
//
// GroupScriptRunner.swift
// Runs the commands of a transcript against one group and prints what it says.
//
// A client is named by a word; it remembers the member id and generation it was told. Member ids print as
// `client.1`, `client.2` in the order they were made. Options are `key=value`; `id=-` is the empty id.
//
// A client's later commands repeat the options of its last join, unless they say otherwise.
//
//     joined a b      a group without a delay, in which these have joined one after the other, in version 3 or with the
//                     options that are given; nothing of it is printed
//     stable a        the same, and each has an assignment: x, y and so on
//     set delay=0 max=2                      settings, before the first join
//     join a v=5 p=range:x,rr:y session=10000 rebalance=30000 instance=i type=consumer id=- gen=1
//     sync a assign=a:x,b:y gen=1            heartbeat a gen=1            commit a gen=1
//     leave a b       leave instance=i       gone join a                  wait 3000
//     hold            snapshots are not acknowledged from here on, until `stored` or `refused`
//     describe        restart (from the last stored snapshot)             resign

import Model

@testable import Broker

struct GroupScriptRunner {
    private var settings = GroupSettings()
    private var group: GroupInstance
    private var milliseconds: Int64 = 0
    private var lastWaiter: UInt64 = 0
    private var entropy: UInt64 = 0
    private var holdsSnapshots = false
    private var unstored: [(sequence: UInt64, snapshot: GroupSnapshot)] = []
    private var stored: GroupSnapshot?
    private var memberIDs: [String: String] = [:]
    private var joinOptions: [String: Options] = [:]
    private var generations: [String: Int32] = [:]
    private var labels: [String: String] = [:]
    private var labelCounts: [String: Int] = [:]
    private var waiters: [WaiterID: (kind: String, client: String)] = [:]
    private var output: [String] = []

    init() {
        group = GroupInstance(id: "g", settings: settings, now: Self.moment(0))
    }

    /// Runs one command and returns what came of it.
    mutating func run(_ line: String) -> [String] {
        output = []
        let words = line.split(separator: " ").map(String.init)
        let given = Options(words.dropFirst().filter { $0.contains("=") })
        let names = words.dropFirst().filter { !$0.contains("=") }
        let options = names.first.flatMap { joinOptions[$0] }?.merging(given) ?? given
        if words[0] == "join" { joinOptions[names[0]] = options.lasting }
        switch words[0] {
        case "joined", "stable": begin(Array(names), given, assigned: words[0] == "stable")
        case "set": configure(options)
        case "join": join(names[0], options)
        case "sync": sync(names[0], options)
        case "heartbeat": answer(group.heartbeat(claim(names[0], options), now: now))
        case "commit": answer(group.commit(claim(names[0], options), now: now))
        case "leave": leave(names, given)
        case "gone": gone(names[0], names[1])
        case "wait": wait(Int64(names[0]) ?? 0)
        case "hold": holdsSnapshots = true
        case "stored": settleSnapshots(succeed: true)
        case "refused": settleSnapshots(succeed: false)
        case "describe": describe()
        case "restart": restart()
        case "resign": resign()
        default: output.append("unknown command")
        }
        return output
    }

    // MARK: Commands

    private mutating func configure(_ options: Options) {
        if let delay = options.int("delay") { settings.initialRebalanceDelayMilliseconds = Int64(delay) }
        if let max = options.int("max") { settings.membersMax = max }
        group = GroupInstance(id: "g", settings: settings, now: now)
    }

    private mutating func begin(_ clients: [String], _ given: Options, assigned: Bool) {
        let options = given.text.isEmpty ? "v=3" : given.text
        _ = run("set delay=0")
        for (place, client) in clients.enumerated() {
            _ = run("join \(client) \(options)")
            for earlier in clients[..<place] { _ = run("join \(earlier)") }
        }
        if assigned, let leader = clients.first {
            for client in clients.dropFirst() { _ = run("sync \(client)") }
            _ = run("sync \(leader) assign=" + zip(clients, "xyz").map { "\($0):\($1)" }.joined(separator: ","))
        }
        output = []
    }

    private mutating func join(_ client: String, _ options: Options) {
        entropy += 1
        let version = options.int("v") ?? 5
        let protocols = (options["p"] ?? "range").split(separator: ",").map { one in
            let parts = one.split(separator: ":").map(String.init)
            return GroupProtocol(name: parts[0], metadata: Array((parts.count > 1 ? parts[1] : client).utf8))
        }
        let request = GroupJoin(
            memberID: options.id ?? memberIDs[client] ?? "", instanceID: options["instance"], clientID: client,
            clientHost: "host", sessionTimeoutMilliseconds: Int32(options.int("session") ?? 10_000),
            rebalanceTimeoutMilliseconds: Int32(options.int("rebalance") ?? 30_000),
            protocolType: options["type"] ?? "consumer", protocols: options["p"] == "none" ? [] : protocols,
            requiresKnownMemberID: version >= 4, supportsSkippingAssignment: version >= 9,
            entropy: MemberIDEntropy(high: 0, low: entropy))
        let waiter = park("join", client)
        perform { $0.join(request, waiter: waiter, now: $2, into: &$1) }
    }

    private mutating func sync(_ client: String, _ options: Options) {
        let claim = claim(client, options)
        let assignments = (options["assign"] ?? "").split(separator: ",").map { one in
            let parts = one.split(separator: ":").map(String.init)
            return MemberAssignment(memberID: memberIDs[parts[0]] ?? parts[0], assignment: Array(parts[1].utf8))
        }
        let request = GroupSync(
            memberID: claim.memberID, instanceID: claim.instanceID, generation: claim.generation,
            protocolType: options["type"], protocolName: options["name"], assignments: assignments)
        let waiter = park("sync", client)
        perform { $0.sync(request, waiter: waiter, now: $2, into: &$1) }
    }

    private mutating func leave(_ clients: [String], _ options: Options) {
        var leaving = clients.map { LeavingMember(memberID: options.id ?? memberIDs[$0] ?? "", instanceID: nil) }
        if let instance = options["instance"] {
            let memberID = clients.first.flatMap { memberIDs[$0] } ?? ""
            leaving = [LeavingMember(memberID: options.id ?? memberID, instanceID: instance)]
        }
        perform { group, directives, now in
            let results = group.leave(leaving, now: now, into: &directives)
            return results.map { $0.map { "\($0)" } ?? "ok" }.joined(separator: " ")
        }
    }

    private mutating func gone(_ kind: String, _ client: String) {
        let lost = waiters.filter { $0.value == (kind, client) }.keys.max()
        guard let lost else { return }
        waiters[lost] = nil
        perform { $0.waiterGone(lost, now: $2, into: &$1) }
    }

    private mutating func wait(_ duration: Int64) {
        let end = milliseconds + duration
        while let deadline = group.nextDeadline, deadline <= Self.moment(end).instant {
            milliseconds = max(milliseconds, Int64(deadline.nanoseconds / 1_000_000))
            let before = output.count
            perform { $0.timerFired(now: $2, into: &$1) }
            for index in before..<output.count { output[index] = "@\(milliseconds) " + output[index] }
        }
        milliseconds = end
    }

    private mutating func describe() {
        let description = group.describe()
        let name = description.protocolName
        output.append("\(description.state.rawValue) type=\(description.protocolType) protocol=\(name)")
        for member in description.members {
            let metadata = String(decoding: member.metadata, as: UTF8.self)
            let assignment = String(decoding: member.assignment, as: UTF8.self)
            output.append("\(label(member.id)) metadata=\(metadata) assignment=\(assignment)")
        }
    }

    private mutating func resign() {
        perform { group, directives, _ in group.resign(.notCoordinator, into: &directives) }
    }

    /// Another broker takes over with what was stored.
    private mutating func restart() {
        resign()
        unstored = []
        group =
            stored.map { GroupInstance(id: "g", restoring: $0, settings: settings, now: now) }
            ?? GroupInstance(id: "g", settings: settings, now: now)
        output.append("\(group.state.rawValue) gen=\(group.generation)")
    }

    // MARK: Events

    private var now: Moment { Self.moment(milliseconds) }

    private static func moment(_ milliseconds: Int64) -> Moment {
        Moment(
            instant: Instant(nanoseconds: UInt64(milliseconds) * 1_000_000),
            wallTime: WallTime(milliseconds: milliseconds))
    }

    private mutating func park(_ kind: String, _ client: String) -> WaiterID {
        lastWaiter += 1
        let waiter = WaiterID(rawValue: lastWaiter)
        waiters[waiter] = (kind, client)
        return waiter
    }

    private func claim(_ client: String, _ options: Options) -> MemberClaim {
        MemberClaim(
            memberID: options.id ?? memberIDs[client] ?? "", instanceID: options["instance"],
            generation: options.int("gen").map(Int32.init) ?? generations[client] ?? -1)
    }

    private mutating func perform(_ event: (inout GroupInstance, inout [GroupDirective], Moment) -> Void) {
        perform { group, directives, now -> String? in
            event(&group, &directives, now)
            return nil
        }
    }

    private mutating func perform(_ event: (inout GroupInstance, inout [GroupDirective], Moment) -> String?) {
        var directives: [GroupDirective] = []
        if let answer = event(&group, &directives, now) { output.append(answer) }
        for directive in directives { show(directive) }
        if !holdsSnapshots, !unstored.isEmpty { settleSnapshots(succeed: true) }
    }

    private mutating func settleSnapshots(succeed: Bool) {
        let settled = unstored
        unstored = []
        for (sequence, snapshot) in settled {
            if succeed { stored = snapshot }
            perform { group, directives, now in
                if succeed {
                    group.persisted(sequence: sequence, now: now, into: &directives)
                } else {
                    group.persistFailed(
                        sequence: sequence, error: .coordinatorNotAvailable, now: now, into: &directives)
                }
            }
        }
    }

    private mutating func answer(_ error: GroupError?) { output.append(error.map { "\($0)" } ?? "ok") }

    // MARK: Printing

    private mutating func show(_ directive: GroupDirective) {
        switch directive {
        case .completeJoin(let waiter, let result): show(result, waiter)
        case .completeSync(let waiter, let result):
            let client = waiters.removeValue(forKey: waiter)?.client ?? "?"
            let text = String(decoding: result.assignment, as: UTF8.self)
            output.append("sync \(client): " + (result.error.map { "\($0)" } ?? "ok [\(text)]"))
        case .persistGroup(_, let sequence, let snapshot):
            unstored.append((sequence, snapshot))
            let shares = snapshot.members.map { member in
                label(member.id) + ":" + String(decoding: member.assignment, as: UTF8.self)
            }
            output.append("store gen=\(snapshot.generation) [\(shares.joined(separator: " "))]")
        case .memberRemoved(_, let memberID, _, let reason):
            output.append("removed \(label(memberID)): \(reason)")
        case .stateChanged(_, let state, let generation):
            output.append("\(state.rawValue) gen=\(generation)")
        }
    }

    private mutating func show(_ result: JoinResult, _ waiter: WaiterID) {
        let client = waiters.removeValue(forKey: waiter)?.client ?? "?"
        let memberID = result.memberID
        if let error = result.error {
            if error == .memberIDRequired || error == .unknownMemberID { memberIDs[client] = memberID }
            output.append("join \(client): \(error)" + (error == .memberIDRequired ? " \(label(memberID))" : ""))
            if error == .unknownMemberID { memberIDs[client] = nil }
            return
        }
        memberIDs[client] = memberID
        generations[client] = result.generation
        var line = "join \(client): ok \(label(memberID)) gen=\(result.generation) \(result.protocolName ?? "nil")"
        line += " leader=\(label(result.leaderID))"
        if result.skipAssignment { line += " skip" }
        if !result.members.isEmpty {
            let members = result.members.map { label($0.id) + ":" + String(decoding: $0.metadata, as: UTF8.self) }
            line += " [\(members.joined(separator: " "))]"
        }
        output.append(line)
    }

    /// A short name for a member id, which is a name, a dash and a UUID of 36 characters.
    private mutating func label(_ memberID: String) -> String {
        if let label = labels[memberID] { return label }
        let name = String(memberID.dropLast(37))
        labelCounts[name, default: 0] += 1
        labels[memberID] = "\(name).\(labelCounts[name, default: 0])"
        return labels[memberID] ?? memberID
    }

    private struct Options {
        private var values: [String: String] = [:]

        init(_ words: [String]) {
            for word in words {
                let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                values[String(parts[0])] = String(parts[1])
            }
        }

        /// These options, and those of `later` where both have one.
        func merging(_ later: Options) -> Options {
            var merged = self
            merged.values.merge(later.values) { $1 }
            return merged
        }

        /// The options that hold until the next join.
        var lasting: Options {
            var lasting = self
            for key in ["id", "gen", "type"] { lasting.values[key] = nil }
            return lasting
        }

        /// As they are written.
        var text: String { values.map { "\($0)=\($1)" }.sorted().joined(separator: " ") }

        subscript(key: String) -> String? { values[key] }
        func int(_ key: String) -> Int? { values[key].flatMap { Int($0) } }
        /// The member id named in the command; `-` stands for the empty one.
        var id: String? { values["id"].map { $0 == "-" ? "" : $0 } }
    }
}
