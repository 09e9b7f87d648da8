"""Texts on which embedders are measured and quantised: questions, sentences and passages of many kinds."""

from __future__ import annotations

_QUESTIONS = (
    "How long do lemon peels have to infuse?",
    "Which of the two rivers is longer?",
    "who signed the lease for the second floor",
    "What happens if a payment is late by more than thirty days?",
    "Can I return shoes that I have worn outside once?",
    "Wie hoch ist der Turm neben dem alten Rathaus?",
    "Où se trouve la gare la plus proche ?",
    "error 404 when uploading a file larger than 2 MB",
    "capital gains 2023 versus 2024",
    "Does the vaccine protect against the newer variants?",
    "python read csv skip first rows",
    "Why did the bridge close in March?",
)

_SENTENCES = (
    "The ferry leaves at half past six and reaches the island before dark, unless the wind turns north.",
    "Stir the flour into the melted butter, add the milk slowly and let it thicken over a low flame.",
    "Revenue rose by 12.4 percent to 318 million, while operating costs stayed flat for the third quarter in a row.",
    "She was born in a mining town, studied mathematics on a scholarship and later designed early weather satellites.",
    "def total(rows): return sum(row.price * row.count for row in rows if not row.cancelled)",
    "The tenant shall keep the premises in good repair and shall not sublet them without written consent.",
    "Patients who received the higher dose recovered two days earlier, but reported headaches more often (p = 0.03).",
    "Das Gerät darf nicht in der Nähe von Wasser betrieben werden; ziehen Sie vor dem Reinigen den Stecker.",
    "Le conseil municipal a voté le budget à une courte majorité après un long débat sur les transports.",
    "A photon has no mass, yet it carries momentum, and so light pushes, very gently, on whatever it meets.",
    "After the flood of 1953 the dikes were raised, and a barrier was built that closes when the sea rises.",
    "Customers on the basic plan may store up to ten projects; further ones are archived after sixty days.",
    "The midfielder scored twice in the second half and left the pitch to long applause.",
    "Ice cores show that the gas content of the air followed temperature closely for eight hundred thousand years.",
    "Select 'Network', then 'Advanced', and enter the address of the proxy; restart the program to apply it.",
    "Three witnesses agreed on the colour of the car, and none of them on the number of people in it.",
    "La bibliothèque ouvre ses portes à neuf heures, sauf le lundi et les jours fériés.",
    "Oak is heavy and resists rot, which is why it was used for barrels, beams and the hulls of ships.",
    "The committee found no conflict of interest, but advised that minutes be published within a week.",
    "Cells divide, and now and then a letter of the code is copied wrongly; most such errors are repaired at once.",
    "INSERT INTO orders (id, customer, placed_at) VALUES (17, 'Meyer', '2024-05-02');",
    "Her second novel, written in exile, follows four sisters through a winter without post.",
    "The valve opens at 4.5 bar; above that, oil flows back into the tank through the bypass.",
    "Interest is charged daily on the balance that is outstanding and added on the first of each month.",
    "El mercado está en la plaza, detrás de la iglesia, y cierra a las dos de la tarde.",
    "Whales sleep with one half of the brain at a time, so that they do not forget to breathe.",
    "The treaty set the border along the river, whose course has moved by almost two miles since.",
    "If the light blinks red three times, the battery is below five percent and the door will stay unlocked.",
    "Bread keeps longest in a wooden box; in the refrigerator it dries out within a day.",
    "The orchestra tuned, the lights went down, and somebody in the third row began to cough.",
    "Applications that arrive after the deadline are considered only if places remain.",
    "東京から大阪までは新幹線で約二時間半かかります。",
    "A stack is last in, first out; a queue serves whoever has waited longest.",
    "Unemployment fell in all regions but one, where the closing of the steelworks cost four thousand jobs.",
    "The map was drawn from the accounts of sailors, and half of its islands do not exist.",
    "Rinse the lens with clean water before wiping it, since a single grain of sand will scratch the coating.",
)


def _passages(sentences: int) -> list[str]:
    """The sentences in groups of so many, as paragraphs."""
    return [" ".join(_SENTENCES[at : at + sentences]) for at in range(0, len(_SENTENCES), sentences)]


TEXTS: tuple[str, ...] = (*_QUESTIONS, *_SENTENCES[::2], *_passages(2), *_passages(4)[:6], *_passages(8)[:3])
"""From three words to some hundred."""
