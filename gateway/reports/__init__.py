"""Special credit reports (专项信用报告, 信用代证): issued, kept, looked up by who holds them.

May import everything of the request path, consents, the pages and the authority view;
nothing of server, interaction, administration or subject.
Promises that a report states what is disclosed, all of it, by a proof checked before it is
signed (G1, G2); that its use is metered as any other (G5); and that a report which does not
hold any more is not given out again (G9).
"""
