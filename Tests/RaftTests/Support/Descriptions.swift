// SPDX-License-Identifier: Apache-2.0
//
// Descriptions.swift
// Messages and directives in the words of the transcripts.

import Raft

/// A message in a line, without sender and receiver.
func describe(_ message: Message) -> String { message.described { $0 } }

/// A directive in a line.
func describe(_ directive: Raft.Directive<String>) -> String { directive.described { $0 } }

/// The first word that selects messages of this kind in a script.
func kind(of message: Message) -> String {
    switch message.body {
    case .voteRequest(let request): request.isPreVote ? "pre-vote" : "vote"
    case .voteResponse(let response): response.isPreVote ? "pre-vote-answer" : "vote-answer"
    case .append: "append"
    case .appendResponse: "append-answer"
    case .heartbeat: "heartbeat"
    case .heartbeatResponse: "heartbeat-answer"
    case .snapshot: "snapshot"
    case .campaignNow: "campaign-now"
    }
}
