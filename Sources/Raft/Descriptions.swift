// SPDX-License-Identifier: Apache-2.0
//
// Descriptions.swift
// Messages and directives in the words of traces and transcripts.

internal import Model

extension Raft.Entry {
    /// What the entry holds, in a word; `payload` words the data.
    public func described(_ payload: (Payload) -> String) -> String {
        switch body {
        case .data(let data): payload(data)
        case .noop: "no-op"
        case .configuration(let configuration): "(\(configuration))"
        }
    }
}

extension Raft.Message {
    /// The message in a line, without sender and receiver; `payload` words the data of its entries.
    public func described(_ payload: (Payload) -> String) -> String {
        let text: String
        switch body {
        case .voteRequest(let request):
            text =
                (request.isPreVote ? "pre-vote?" : "vote?") + " last \(request.last)"
                + (request.isTransfer ? " (transfer)" : "")
        case .voteResponse(let response):
            text = (response.isPreVote ? "pre-vote " : "vote ") + (response.isGranted ? "granted" : "denied")
        case .append(let append):
            text = "append after \(append.previous) \(list(append.entries, payload)) commit \(append.committed)"
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
        return "t\(term) " + text
    }
}

extension Raft.Directive {
    /// The directive in a line; `payload` words the data of its entries.
    public func described(_ payload: (Payload) -> String) -> String {
        switch self {
        case .persistHardState(let state): "persist \(state)"
        case .truncate(let from): "truncate from \(from)"
        case .append(let entries): "write \(list(entries, payload))"
        case .send(let message): "-> \(message.to) \(message.described(payload))"
        case .needEntries(let request): "load \(request.from)...\(request.through) for \(request.peer)"
        case .commit(let index): "commit \(index)"
        case .becameLeader(let term): "leads term \(term)"
        case .termConfirmed(let term): "term \(term) confirmed"
        case .becameFollower(let term, let leader):
            "follows " + (leader.map { "\($0)" } ?? "nobody") + " in term \(term)"
        case .becameCandidate(let term): "candidate in term \(term)"
        case .readReady(let reads, let index): "reads \(numbers(reads)) ready at \(index)"
        case .readFailed(let reads): "reads \(numbers(reads)) failed"
        case .transferEnded(let target, let outcome): "transfer to \(target) \(outcome)"
        case .configurationChanged(let configuration, let index): "configuration \(configuration) at \(index)"
        case .configurationCommitted(let configuration, let index):
            "configuration committed at \(index): \(configuration)"
        case .provideSnapshot(let peer): "provide snapshot for \(peer)"
        case .fetchSnapshot(let info, let source): "fetch snapshot \(info.position) from \(source)"
        case .installSnapshot(let info): "install snapshot \(info.position)"
        }
    }
}

private func list<Payload>(_ entries: [Raft.Entry<Payload>], _ payload: (Payload) -> String) -> String {
    let words = entries.map { "\(Raft.Position(index: $0.index, term: $0.term)) \($0.described(payload))" }
    return "[" + words.joined(separator: ", ") + "]"
}

private func numbers(_ reads: [Raft.ReadID]) -> String { reads.map { "\($0.rawValue)" }.joined(separator: " ") }
