"""A veterinary clinic's front desk: an example of bringing one's own tools.

Nothing here knows of RODS. Public methods with type hints and docstrings are the tools; public
attributes are the state that verdicts compare.
"""

from typing import Any, Literal

FEES = {"checkup": 45.0, "vaccination": 30.0, "dental": 120.0, "surgery": 400.0}
Service = Literal["checkup", "vaccination", "dental", "surgery"]


class Clinic:
    """Patients, vets, appointments and invoices of one clinic."""

    def __init__(self) -> None:
        self.patients: dict[str, dict[str, Any]] = {}
        self.vets: dict[str, list[str]] = {}
        self.appointments: dict[str, dict[str, Any]] = {}
        self.invoices: dict[str, dict[str, Any]] = {}
        self.notes: dict[str, list[str]] = {}

    def find_patient(self, name: str, owner: str = "") -> dict[str, Any]:
        """Look up an animal and get its patient id.

        Args:
            name: The animal's name.
            owner: Family name of its owner, where two animals share a name.

        Returns:
            patient_id, species and owner, or an error.
        """
        found = [
            {"patient_id": i, "species": p["species"], "owner": p["owner"]}
            for i, p in self.patients.items()
            if p["name"] == name and owner in ("", p["owner"])
        ]
        if len(found) != 1:
            return {"error": f"{len(found)} patients are called {name}"}
        return found[0]

    def register_patient(self, name: str, species: str, owner: str) -> dict[str, str]:
        """Register a new animal.

        Args:
            name: The animal's name.
            species: For example dog, cat, rabbit.
            owner: Family name of its owner.

        Returns:
            The new patient_id.
        """
        patient_id = f"P{len(self.patients) + 1:03}"
        self.patients[patient_id] = {"name": name, "species": species, "owner": owner}
        return {"patient_id": patient_id}

    def list_free_slots(self, vet: str) -> dict[str, Any]:
        """List the times at which a vet is free.

        Args:
            vet: Family name of the vet.

        Returns:
            slots, as day and hour, or an error.
        """
        if vet not in self.vets:
            return {"error": f"no vet {vet}; there are {', '.join(sorted(self.vets))}"}
        return {"slots": list(self.vets[vet])}

    def book_appointment(
        self, patient_id: str, vet: str, slot: str, service: Service = "checkup"
    ) -> dict[str, str]:
        """Book an appointment in a free slot.

        Args:
            patient_id: The animal, as find_patient gives it.
            vet: Family name of the vet.
            slot: One of the vet's free slots.
            service: What is to be done.

        Returns:
            appointment_id, or an error.
        """
        if patient_id not in self.patients:
            return {"error": f"no patient {patient_id}"}
        if slot not in self.vets.get(vet, []):
            return {"error": f"{vet} is not free at {slot}"}
        self.vets[vet].remove(slot)
        appointment_id = f"A{len(self.appointments) + 1:03}"
        self.appointments[appointment_id] = {
            "patient_id": patient_id,
            "vet": vet,
            "slot": slot,
            "service": service,
            "status": "booked",
        }
        return {"appointment_id": appointment_id}

    def get_appointments(self, patient_id: str) -> dict[str, Any]:
        """Get all appointments of an animal.

        Args:
            patient_id: The animal, as find_patient gives it.

        Returns:
            appointments, each with its appointment_id.
        """
        found = [
            {"appointment_id": i, **{k: a[k] for k in ("vet", "slot", "service", "status")}}
            for i, a in self.appointments.items()
            if a["patient_id"] == patient_id
        ]
        return {"appointments": found}

    def cancel_appointment(self, appointment_id: str) -> dict[str, str]:
        """Cancel a booked appointment; its slot becomes free again.

        Args:
            appointment_id: The appointment.

        Returns:
            status, or an error.
        """
        appointment = self.appointments.get(appointment_id)
        if appointment is None or appointment["status"] != "booked":
            return {"error": f"{appointment_id} is not booked"}
        appointment["status"] = "cancelled"
        self.vets[appointment["vet"]].append(appointment["slot"])
        return {"status": "cancelled"}

    def create_invoice(self, appointment_id: str, discount: float = 0.0) -> dict[str, Any]:
        """Write the invoice for an appointment.

        Args:
            appointment_id: The appointment.
            discount: Share of the fee that is waived, from 0 to 1.

        Returns:
            invoice_id and amount, or an error.
        """
        if appointment_id not in self.appointments:
            return {"error": f"no appointment {appointment_id}"}
        if not 0 <= discount <= 1:
            return {"error": "discount must be from 0 to 1"}
        amount = round(FEES[self.appointments[appointment_id]["service"]] * (1 - discount), 2)
        invoice_id = f"I{len(self.invoices) + 1:03}"
        self.invoices[invoice_id] = {
            "appointment_id": appointment_id,
            "amount": amount,
            "paid": False,
        }
        return {"invoice_id": invoice_id, "amount": amount}

    def pay_invoice(self, invoice_id: str) -> dict[str, str]:
        """Mark an invoice as paid.

        Args:
            invoice_id: The invoice.

        Returns:
            status, or an error.
        """
        if invoice_id not in self.invoices:
            return {"error": f"no invoice {invoice_id}"}
        self.invoices[invoice_id]["paid"] = True
        return {"status": "paid"}

    def add_note(self, patient_id: str, text: str) -> dict[str, int]:
        """Add a note to an animal's file.

        Args:
            patient_id: The animal, as find_patient gives it.
            text: The note.

        Returns:
            How many notes its file now has.
        """
        self.notes.setdefault(patient_id, []).append(text)
        return {"notes": len(self.notes[patient_id])}
