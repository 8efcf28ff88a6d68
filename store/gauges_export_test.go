package store

// DeliveryGaugesSQL is what a scrape asks of deliveries.
const DeliveryGaugesSQL = deliveryGaugesSQL
