import { needs } from '../../../tests/peers/lib/needs.ts';
import { facadeHouse } from './houses.ts';
import { journeys } from './journeys.ts';

needs('chromium')('the portal in a real browser, with the facade of Keycloak', () => {
  journeys(facadeHouse);
});
