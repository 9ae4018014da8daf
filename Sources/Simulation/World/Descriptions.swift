// SPDX-License-Identifier: Apache-2.0
//
// Descriptions.swift
// Messages and directives in the words of the trace.

internal import Model
internal import Raft

private func describe(_ entries: [Entry]) -> String {
    "[" + entries.map { "\($0.position) \(text(of: $0))" }.joined(separator: ", ") + "]"
}

private func list<T>(_ values: [T], _ text: (T) -> String) -> String { values.map(text).joined(separator: " ") }

/// A message in a line, without sender and receiver.
func describe(_ message: Message) -> String {
    let text: String
    switch message.body {
    case .voteRequest(let request):
        text =
            (request.isPreVote ? "pre-vote?" : "vote?") + " last \(request.last)"
            + (request.isTransfer ? " (transfer)" : "")
    case .voteResponse(let response):
        text = (response.isPreVote ? "pre-vote " : "vote ") + (response.isGranted ? "granted" : "denied")
    case .append(let append):
        text = "append after \(append.previous) \(describe(append.entries)) commit \(append.committed)"
    case .appendResponse(let response):
        let distrust = response.isTrusted ? "" : " (untrusted)"
        if let rejection = response.rejection {
            text = "append refused at \(rejection.previous), try \(rejection.hint)" + distrust
        } else {
            text = "append ok to \(response.appended), flushed \(response.flushed)" + distrust
        }
    case .heartbeat(let heartbeat): text = "heartbeat commit \(heartbeat.committed) round \(heartbeat.round)"
    case .heartbeatResponse(let response):
        text = "heartbeat ok round \(response.round)" + (response.isTrusted ? "" : " (untrusted)")
    case .snapshot(let info): text = "snapshot \(info.position) \(info.configuration)"
    case .campaignNow: text = "campaign now"
    }
    return "t\(message.term) " + text
}

/// A directive in a line.
func describe(_ directive: Raft.Directive<UInt64>) -> String {
    switch directive {
    case .persistHardState(let state): "persist \(state)"
    case .truncate(let from): "truncate from \(from)"
    case .append(let entries): "write \(describe(entries))"
    case .send(let message): "-> \(message.to) \(describe(message))"
    case .needEntries(let request): "load \(request.from)...\(request.through) for \(request.peer)"
    case .commit(let index): "commit \(index)"
    case .becameLeader(let term): "leads term \(term)"
    case .termConfirmed(let term): "term \(term) confirmed"
    case .becameFollower(let term, let leader):
        "follows " + (leader.map { "\($0)" } ?? "nobody") + " in term \(term)"
    case .becameCandidate(let term): "candidate in term \(term)"
    case .readReady(let reads, let index): "reads \(list(reads) { "\($0.rawValue)" }) ready at \(index)"
    case .readFailed(let reads): "reads \(list(reads) { "\($0.rawValue)" }) failed"
    case .transferEnded(let target, let outcome): "transfer to \(target) \(outcome)"
    case .configurationChanged(let configuration, let index): "configuration \(configuration) at \(index)"
    case .configurationCommitted(let configuration, let index): "configuration committed at \(index): \(configuration)"
    case .provideSnapshot(let peer): "provide snapshot for \(peer)"
    case .fetchSnapshot(let info, let source): "fetch snapshot \(info.position) from \(source)"
    case .installSnapshot(let info): "install snapshot \(info.position)"
    }
}

private func text(of entry: Entry) -> String {
    switch entry.body {
    case .data(let operation): "op \(operation)"
    case .noop: "no-op"
    case .configuration(let configuration): "(\(configuration))"
    }
}
