// SPDX-License-Identifier: Apache-2.0
//
// Coverage.swift
// The names of everything a run can reach: directives, messages, progress, refusals, faults, ends of recovery's scans.

internal import LogStore
internal import Model
internal import Raft

/// What runs can reach.
package enum Coverage {
    /// Everything that ought to be reached with a kind of storage, in order.
    package static func expected(_ storage: StorageKind) -> [String] {
        var names = directives.map { "directive: " + $0 } + messages.map { "message: " + $0 }
        names += progress.map { "progress: " + $0 } + refusals.map { "refusal: " + $0 }
        let faults = Faults.names.filter {
            ["bit-flip", "lost-write", "misdirected", "journal-damage", "lost-disk"].contains($0)
        }
        names += faults.map { "fault: " + $0 }
        names += ["fault: io-error", "fault: disk full", "fault: disk has room again"]
        switch storage {
        case .model:
            names += ["power loss", "process"].flatMap { kind in
                ["lost", "torn", "kept"].filter { kind == "power loss" || $0 != "torn" }
                    .map { "crash: \(kind), flush in flight \($0)" }
            }
        case .production, .compacted:
            names += ["all", "nothing", "torn"].map { "crash: power loss, unsynced \($0)" }
            names += ["crash: process", "fault: clean stop", "fault: old index", "fault: index older than a group"]
            names += ["recovery: damage"]
            names += [
                "recovery: damage found by a read", "operation: commands compacted", "operation: segments deleted",
            ]
            names += snapshots
            names += scanEnds.map { "recovery: " + $0.name }
        }
        if storage == .compacted { names += keys }
        return names
    }

    /// The cases of the decision table that scans come to: a footer is never taken for what a pointer proves, and where what
    /// follows makes no difference it is not looked for.
    private static let scanEnds: [RecoveryCase] = {
        let findings = RecoveryFinding.allCases.filter { $0 != .next }
        let proven = findings.filter { $0 != .footer }.map { RecoveryCase($0, isProven: true, hasLater: false) }
        let later = [RecoveryFinding.badPayload, .zeros].map { RecoveryCase($0, isProven: false, hasLater: true) }
        return proven + later + findings.map { RecoveryCase($0, isProven: false, hasLater: false) }
    }()

    /// What compaction does.
    private static let keys = [
        "a pass", "segments replaced", "records removed", "nothing removed", "markers removed", "a log compared",
    ].map { "keys: " + $0 }

    /// The way of a snapshot, and where it is cut short.
    private static let snapshots =
        [
            "made", "begun", "gone on with", "given up, closed", "cut short on its way",
            "cut short while it is installed", "installed, segments", "installed, state",
        ].map { "snapshot: " + $0 } + ["recovery: an installation is finished", "recovery: behind a snapshot"]

    static let directives = [
        "persistHardState", "truncate", "append", "send", "needEntries", "commit", "becameLeader", "termConfirmed",
        "becameFollower", "becameCandidate", "readReady", "readFailed", "transferEnded handedOver",
        "transferEnded timedOut", "transferEnded abandoned", "configurationChanged joint",
        "configurationChanged simple",
        "configurationCommitted", "provideSnapshot", "fetchSnapshot", "installSnapshot",
    ]
    static let messages = [
        "pre-vote", "vote", "pre-vote granted", "pre-vote denied", "vote granted", "vote denied", "append",
        "append empty", "append ok", "append refused", "heartbeat", "heartbeat ok", "snapshot", "campaign now",
    ]
    static let progress = [
        "probe > replicate", "probe > snapshot", "replicate > probe", "replicate > snapshot", "snapshot > probe",
        "snapshot > replicate",
    ]
    static let refusals = [
        "notLeader", "uncommittedBytes", "transferInProgress", "termNotConfirmed", "tooManyReads", "changeInProgress",
        "nothingToCancel", "invalidMembership", "laggingVoters", "unfitTarget",
    ]
}

extension RecoveryCase {
    /// The row and the column of the decision table.
    var name: String {
        "\(finding) " + (isProven ? "proven" : hasLater ? "unproven, a later frame behind" : "unproven")
    }
}

extension World {
    static func name(of directive: Raft.Directive<UInt64>) -> String {
        switch directive {
        case .persistHardState: "persistHardState"
        case .truncate: "truncate"
        case .append: "append"
        case .send: "send"
        case .needEntries: "needEntries"
        case .commit: "commit"
        case .becameLeader: "becameLeader"
        case .termConfirmed: "termConfirmed"
        case .becameFollower: "becameFollower"
        case .becameCandidate: "becameCandidate"
        case .readReady: "readReady"
        case .readFailed: "readFailed"
        case .transferEnded(_, let outcome): "transferEnded \(outcome)"
        case .configurationChanged(let configuration, _):
            "configurationChanged " + (configuration.isJoint ? "joint" : "simple")
        case .configurationCommitted: "configurationCommitted"
        case .provideSnapshot: "provideSnapshot"
        case .fetchSnapshot: "fetchSnapshot"
        case .installSnapshot: "installSnapshot"
        }
    }

    static func name(of body: Message.Body) -> String {
        switch body {
        case .voteRequest(let request): request.isPreVote ? "pre-vote" : "vote"
        case .voteResponse(let response):
            (response.isPreVote ? "pre-vote " : "vote ") + (response.isGranted ? "granted" : "denied")
        case .append(let append): append.entries.isEmpty ? "append empty" : "append"
        case .appendResponse(let response): response.rejection == nil ? "append ok" : "append refused"
        case .heartbeat: "heartbeat"
        case .heartbeatResponse: "heartbeat ok"
        case .snapshot: "snapshot"
        case .campaignNow: "campaign now"
        }
    }

    static func name(of refusal: Raft.Refusal) -> String { refusal.caseName }

    /// Notes how the leader's view of its peers has changed.
    func countProgress(_ node: Node, _ group: Int) {
        guard let core = node.replicas[group].core, core.isLeader else {
            node.replicas[group].progress = [:]
            return
        }
        for peer in core.peerStatus {
            let state =
                switch peer.state {
                case .probe: "probe"
                case .replicate: "replicate"
                case .snapshot: "snapshot"
                }
            if let before = node.replicas[group].progress[peer.id], before != state {
                note("progress: \(before) > \(state)")
            }
            node.replicas[group].progress[peer.id] = state
        }
    }
}

extension Raft.Refusal {
    fileprivate var caseName: String {
        switch self {
        case .notLeader: "notLeader"
        case .uncommittedBytes: "uncommittedBytes"
        case .transferInProgress: "transferInProgress"
        case .termNotConfirmed: "termNotConfirmed"
        case .tooManyReads: "tooManyReads"
        case .changeInProgress: "changeInProgress"
        case .nothingToCancel: "nothingToCancel"
        case .invalidMembership: "invalidMembership"
        case .laggingVoters: "laggingVoters"
        case .unfitTarget: "unfitTarget"
        }
    }
}
