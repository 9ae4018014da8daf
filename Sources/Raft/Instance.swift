// SPDX-License-Identifier: Apache-2.0
//
// Instance.swift
// The state of one replica of one group, and the entry points for time, storage and messages.

public import Model

extension Raft {
    /// What a replica is at the moment.
    public enum Role: Hashable, Sendable {
        /// Follows a leader, or waits for one.
        case follower
        /// Asks whether it would be elected, without changing anybody's term.
        case preCandidate
        /// Asks for votes in its term.
        case candidate
        /// Leads its term.
        case leader
    }

    /// One replica of one group: a value that decides and never acts.
    ///
    /// See ``Raft`` for the rules and ``Directive`` for the contract with the shell.
    ///
    /// Invariants: one leader a term; `hardState` never goes back; a message leaves only when `persistedHardState ==
    /// hardState`; a leader never cuts its log; a leader's `committed` was flushed on a quorum of every active set of
    /// voters.
    ///
    /// - Cost: no allocation for time without events; one array per append and message otherwise. Linear in members.
    public struct Instance<Payload: Sendable>: Sendable {
        /// What entry points append to.
        public typealias Directives = [Directive<Payload>]

        /// The replica's node.
        public let id: NodeID
        /// The group, for diagnostics only.
        public let group: GroupID
        /// Limits and timeouts.
        public let settings: Settings

        /// What the replica is.
        public internal(set) var role = Role.follower
        /// The leader of the current term, as far as known.
        public internal(set) var leader: NodeID?
        /// Whether storage is trusted.
        public internal(set) var standing: Standing
        /// Where the replica began when it joined; see ``DurableState/floor``.
        public let floor: Position?

        // Durable state and what waits for it.
        var hardState: HardState
        var persistedHardState: HardState
        var issuedHardState: HardState
        var held: [Message<Payload>] = []
        var log: LogView<Payload>
        var history: ConfigurationHistory

        // Time, in ticks.
        var electionElapsed = 0
        var heartbeatElapsed = 0
        var electionTimeout = 0
        var random: SeededRandom

        // Candidates: the answers so far.
        var votes: [(node: NodeID, isGranted: Bool)] = []
        /// Whether the leader asked for the campaign under way.
        var isTransferCampaign = false

        // Leaders.
        var peers: [Progress] = []
        /// The leader's first entry of its term.
        var termStart = LogIndex.zero
        var transfer: Transfer?
        var reads = ReadQueue()
        var heartbeatRound: UInt64 = 0
        var nextTicket: UInt64 = 0

        // Followers.
        /// The last entry known to equal the leader's.
        ///
        /// Invariant: `committed <= verified <= last` while following.
        var verified: LogIndex
        /// What the leader was last told to be flushed here.
        var reportedFlushed = LogIndex.zero
        /// The latest session in which the leader has spoken to this replica.
        var session: UInt64 = 0
        var fetching: SnapshotInfo?
        var installing: SnapshotInfo?

        /// Takes over a replica as storage recovered it.
        ///
        /// Nothing happens before ``start(into:)``.
        ///
        /// `seed` feeds election timeouts: give each replica another one. A log that ends in a higher term than the
        /// hard state (its write was lost, storage rule R2) raises the term; no vote of that term can have left this
        /// replica. A floor raises it too, and takes the vote of its term: an earlier life may have given it.
        public init(id: NodeID, group: GroupID, settings: Settings, state: DurableState, seed: UInt64) {
            settings.check()
            self.id = id
            self.group = group
            self.settings = settings
            standing = state.standing
            log = LogView(state)
            history = state.configurations
            var recovered = state.hardState
            if log.lastPosition.term > recovered.term { recovered = HardState(term: log.lastPosition.term) }
            let floor = settings.heeds(state.floor)
            if let floor, recovered.term < floor.term || (recovered.term == floor.term && recovered.votedFor == nil) {
                recovered = HardState(term: floor.term, votedFor: id)
            }
            self.floor = floor
            hardState = recovered
            persistedHardState = state.hardState
            issuedHardState = state.hardState
            verified = log.committed
            random = SeededRandom(seed: seed)
            precondition(history.elements[0].index <= log.base.index, "no configuration at the base of the log")
            precondition(history.current.index <= log.last, "configuration at \(history.current.index) after the log")
            resetElectionTimer()
        }

        // MARK: - Time and storage

        /// Begins.
        ///
        /// A replica that is the only voter campaigns at once; the others wait for a leader or a timeout.
        public mutating func start(into directives: inout Directives) {
            if configuration.poll(answer: { $0 == id ? true : nil }) == .won { campaign(into: &directives) }
            settle(into: &directives)
        }

        /// One tick has passed.
        public mutating func tick(into directives: inout Directives) {
            electionElapsed += 1
            if role == .leader {
                tickLeader(into: &directives)
            } else if electionElapsed >= electionTimeout {
                resetElectionTimer()
                campaign(into: &directives)
            }
            settle(into: &directives)
        }

        /// Asks for leadership now, beginning with a pre-vote.
        ///
        /// Does nothing on a leader or a replica that may not lead.
        public mutating func campaign(into directives: inout Directives) {
            if role != .leader && mayLead { poll(.preVote, into: &directives) }
            settle(into: &directives)
        }

        /// Storage made this hard state durable.
        public mutating func hardStatePersisted(_ durable: HardState, into directives: inout Directives) {
            precondition(
                durable.term <= issuedHardState.term, "\(durable) was never issued; issued: \(issuedHardState)")
            let isNewer =
                durable.term > persistedHardState.term
                || (durable.term == persistedHardState.term && persistedHardState.votedFor == nil)
            if isNewer { persistedHardState = durable }
            if isNewer && persistedHardState == hardState {
                for message in held { directives.append(.send(message)) }
                held.removeAll()
                if role == .candidate {
                    requestVotes(into: &directives)
                    recordVote(of: id, isGranted: true, into: &directives)
                }
            }
            settle(into: &directives)
        }

        /// Storage made the log durable up to the entry at `index`, which has `term`: the last entry of an append
        /// directive.
        ///
        /// The term tells a report of entries that were cut and overwritten since from one of the present ones. When
        /// that cannot be told (the same entry was cut and appended again), the report counts only up to the cut, until
        /// as many reports have come as there were writes. With `isCurrent` storage says that it reports nothing that
        /// was cut, and no report is doubted.
        public mutating func persisted(
            _ index: LogIndex, term: Term, isCurrent: Bool = false, into directives: inout Directives
        ) {
            let named = mutates(.ignoreReportTerm) ? log.term(at: index) ?? term : term
            if isCurrent ? log.persistedNow(index, term: named) : log.persisted(index, term: named) {
                if role == .leader {
                    advanceLeaderCommit(into: &directives)
                } else if installing == nil, min(log.flushed, verified) > reportedFlushed {
                    acknowledge(into: &directives)
                }
            }
            settle(into: &directives)
        }

        /// The shell has compacted the entries up to `index`; they are committed, flushed and need not be kept.
        public mutating func compacted(through index: LogIndex) {
            log.trim(through: index)
            history.trim(through: log.base.index)
        }

        /// The shell found out, or repaired, how far storage can be trusted.
        ///
        /// A leader that is not sound steps down.
        public mutating func setStanding(_ newStanding: Standing, into directives: inout Directives) {
            standing = newStanding
            // What waits was said by a replica that did not know of the damage: losing it is allowed, sending it is
            // not.
            if newStanding != .sound { held.removeAll() }
            if role != .follower && newStanding != .sound {
                becomeFollower(hardState.term, leader: nil, into: &directives)
            }
            // What was held back because of damage may be confirmed now.
            if newStanding == .sound && installing == nil { acknowledge(into: &directives) }
            settle(into: &directives)
        }

        // MARK: - Messages

        /// A message arrived.
        public mutating func step(_ message: Message<Payload>, into directives: inout Directives) {
            guard message.to == id, message.from != id else { return }
            if message.term < hardState.term {
                answerStale(message, into: &directives)
            } else if isUnwelcomeCampaign(message) {
                // A leader is alive: answering would let a returning replica unseat it.
            } else {
                adoptTerm(of: message, into: &directives)
                dispatch(message, into: &directives)
            }
            settle(into: &directives)
        }

        private mutating func adoptTerm(of message: Message<Payload>, into directives: inout Directives) {
            let fromLeader: Bool
            switch message.body {
            case .voteRequest(let request) where request.isPreVote: return
            case .voteResponse(let response) where response.isPreVote && response.isGranted: return
            case .append, .heartbeat, .snapshot, .campaignNow: fromLeader = true
            default: fromLeader = false
            }
            if message.term > hardState.term {
                becomeFollower(message.term, leader: fromLeader ? message.from : nil, into: &directives)
            } else if fromLeader {
                precondition(role != .leader, "node \(message.from) leads term \(message.term), and so does \(id)")
                if role != .follower || leader != message.from {
                    becomeFollower(message.term, leader: message.from, into: &directives)
                }
                electionElapsed = 0
            }
        }

        private mutating func dispatch(_ message: Message<Payload>, into directives: inout Directives) {
            let peer = message.from
            switch message.body {
            case .voteRequest(let request):
                answer(request, of: peer, term: message.term, into: &directives)
            case .voteResponse(let response):
                receive(response, from: peer, term: message.term, into: &directives)
            case .append(let append): accept(append, from: peer, into: &directives)
            case .heartbeat(let heartbeat): accept(heartbeat, from: peer, into: &directives)
            case .snapshot(let info): consider(info, from: peer, into: &directives)
            case .campaignNow: if role == .follower && mayLead { poll(.transfer, into: &directives) }
            case .appendResponse(let response): receive(response, from: peer, into: &directives)
            case .heartbeatResponse(let response): receive(response, from: peer, into: &directives)
            }
        }

        /// Answers a message of an old term, so that its sender learns of the newer one.
        private mutating func answerStale(_ message: Message<Payload>, into directives: inout Directives) {
            switch message.body {
            case .append, .heartbeat, .snapshot:
                let nothing = AppendResponse(
                    appended: .zero, flushed: .zero, isTrusted: standing != .amnesiac, session: 0)
                send(.appendResponse(nothing), to: message.from, into: &directives)
            case .voteRequest(let request):
                let refusal = VoteResponse(isPreVote: request.isPreVote, isGranted: false)
                send(.voteResponse(refusal), to: message.from, into: &directives)
            default: break
            }
        }
    }
}
